"""A page that is read without the glossary says its words as the glossary does, and what a fixed threshold does."""

from __future__ import annotations

import re
from pathlib import Path

from contracts.report.serving import at_fixed_threshold, shares_of
from contracts.report.words import WORDS, words

GLOSSARY = (Path(__file__).resolve().parents[3] / "docs/glossary.md").read_text(encoding="utf-8")


def test_every_word_is_the_glossarys() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", GLOSSARY, re.MULTILINE))
    assert {term: rows.get(term) for term in WORDS} == WORDS


def test_words_are_folded_and_escaped() -> None:
    shown = words("margin", "Krippendorff's alpha")
    assert "<dt>Krippendorff&#x27;s alpha</dt>" in shown
    assert "(<code>rollout.margin</code>)" in shown
    assert shown.startswith("<section><details><summary>")


def test_a_fixed_threshold_answers_alone_what_reaches_it_and_nothing_at_1() -> None:
    answers = [{"confidence": sure, "label": "a", "truth": truth} for sure, truth in ((0.8, "a"), (0.9, "b"), (0.79, "a"), (1.0, "a"))]
    assert at_fixed_threshold(0.8, answers) == {"threshold": 0.8, "texts": 4, "alone": 3, "wrong": 1}
    assert shares_of(at_fixed_threshold(0.0, answers)) == (1.0, 0.25)
    assert shares_of(at_fixed_threshold(1.0, answers)) == (0.0, None)


def test_a_fixed_threshold_is_counted_on_the_texts_of_the_other_figures() -> None:
    answers = [{"confidence": 0.9, "label": "a", "truth": "a", "ordinary": number < 3} for number in range(5)]
    assert at_fixed_threshold(0.8, answers) == {"threshold": 0.8, "texts": 3, "alone": 3, "wrong": 0}
