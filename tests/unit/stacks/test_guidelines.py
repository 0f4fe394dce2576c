"""The worker page with the guidelines of the settings: what people see is what was written, and nothing of it is code."""

from __future__ import annotations

import hashlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "review_page"))

from test_worker_templates import each_rendered

from review_page.elements import check_elements
from stacks.constructs import worker_page as made
from stacks.constructs.worker_page import MOST_BYTES, TEMPLATE, guidelines, worker_page, worker_page_file
from stacks.settings import SettingsError, load_settings
from stacks.settings.guidelines import GuidelinesSettings

NOTHING = GuidelinesSettings()
INPUT = {"text": "A text.", "labels": ["a", "b"]}
ATTACKS = (
    "{{ task.input.text }}", "{% raw %}", "{%- comment -%}", "<script>alert(1)</script>", "</full-instructions></crowd-classifier>",
    '"><img src=x onerror=alert(1)>', "' onload='alert(1)", "&lt;b&gt; & &#123;", "{# {{ '{{' }} #}", "\\g<1> \\1", "${Token[TOKEN.7]}",
    "<!--", "]]>",
)  # fmt: skip


def said(**fields: Any) -> GuidelinesSettings:
    return GuidelinesSettings.model_validate(fields)


class _Read(HTMLParser):
    """Elements in order, and the words in them; attributes of the classifier."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.words: list[str] = []
        self.header: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "crowd-classifier":
            self.header = dict(attrs)["header"]

    def handle_data(self, data: str) -> None:
        self.words += [data.strip()] if data.strip() else []


def test_without_guidelines_the_page_is_the_file() -> None:
    assert worker_page(NOTHING) == TEMPLATE.read_text(encoding="utf-8")
    assert guidelines(NOTHING) == hashlib.sha256(TEMPLATE.read_bytes()).hexdigest()[:12]


def test_labels_stand_above_the_general_sentences_or_the_rules_of_the_settings() -> None:
    labels = {"good": {"means": "It is praise.", "fits": ["Again!"], "does_not_fit": ["Two beds."]}, "cannot-tell": {"means": "Too short."}}
    own = "Judge only what the text says"
    above = worker_page(said(labels=labels))
    assert above.index("Too short.") < above.index(own)
    shown = _Read(above).words
    at = shown.index("good")
    assert shown[at : at + 8] == ["good", "It is praise.", "Fits:", "Again!", "Does not fit:", "Two beds.", "Cannot tell", "Too short."]
    instead = worker_page(said(labels=labels, rules=["First.", "Second."], question="Which?"))
    assert own not in instead
    assert _Read(instead).words.index("good") < _Read(instead).words.index("First.") < _Read(instead).words.index("Second.")
    assert _Read(instead).header == "Which?"
    assert "Answer on your own" in instead, "what the settings say nothing of stays"


def attacked(attack: str) -> str:
    label = {"name": attack, "means": attack, "fits": [attack], "does_not_fit": [attack]}
    return worker_page(said(question=attack, rules=[attack], labels={"a": label}))


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What was written -> the page as it is rendered for a task."""
    given = ("x", *ATTACKS)
    return dict(zip(given, each_rendered([(attacked(one), INPUT) for one in given]), strict=True))


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_guideline_is_shown_as_it_is_written_whatever_is_in_it(attack: str, shown: dict[str, str]) -> None:
    check_elements(attacked(attack))
    assert isinstance(shown[attack], str), shown[attack]
    read, usual = _Read(shown[attack]), _Read(shown["x"])
    assert read.tags == usual.tags, "no element comes from a guideline"
    assert read.words == [attack if word == "x" else word for word in usual.words]
    assert read.header == attack
    liquid = re.compile(r"\{[{%].*?[%}]\}")
    assert liquid.findall(attacked(attack)) == liquid.findall(attacked("x")), "and no Liquid"


def test_equal_guidelines_are_equal_bytes_and_others_another_version() -> None:
    one, same, other = (said(rules=[text]) for text in ("Read  it\n all.", "Read it all.", "Read it twice."))
    assert worker_page(one) == worker_page(same)
    assert guidelines(one) == guidelines(same) != guidelines(other)
    assert guidelines(one) == hashlib.sha256(worker_page(one).encode()).hexdigest()[:12]
    path = worker_page_file(one)
    assert (path.name, path.read_text(encoding="utf-8")) == (TEMPLATE.name, worker_page(one))


def test_a_page_that_is_too_long_says_so() -> None:
    long = said(labels={f"label-{number}": {"means": "x", "fits": ["\u4e2d" * 500] * 5} for number in range(14)})
    with pytest.raises(SettingsError, match=rf"review.guidelines make a worker page of \d+ bytes, and it may have {MOST_BYTES}"):
        worker_page(long)


def test_a_file_without_a_place_for_them_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.liquid").write_text("<input name=a>")
    monkeypatch.setattr(made, "TEMPLATE", tmp_path / "own.liquid")
    assert worker_page(NOTHING) == "<input name=a>"
    with pytest.raises(SettingsError, match=r"cannot be written into own.liquid: it must have one full-instructions, and has 0"):
        worker_page(said(rules=["x"]))


def test_the_demo_s_guidelines_explain_every_answer() -> None:
    demo = load_settings(Path(__file__).resolve().parents[3] / "settings" / "dev.yaml").review.guidelines
    assert list(demo.labels) == ["negative", "neutral", "positive", "cannot-tell"]
    assert all(one.fits and one.does_not_fit for key, one in demo.labels.items() if key != "cannot-tell")
    check_elements(worker_page(demo))
