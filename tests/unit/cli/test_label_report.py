"""``labels report``: nearly equal texts with different labels, labels that people confuse, and how much a suggestion sways people."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.labels.report import FEWEST_COMPARED, Report, anchoring, report
from cli.labels.report_page import lines, page
from cli.labels.unseen import UNSEEN
from contracts.labels import CANNOT_TELL
from lambdas.common.predictions import StoredPrediction
from stacks.settings import Settings

_NUMBERS = itertools.count(1)


def stored(text: str, label: str | None, said: Sequence[str | None] = (), shown: Sequence[bool] = (), **changes: Any) -> StoredPrediction:
    answers = [
        {"worker_id": f"w{number}", "label": one, "seconds": 1.0, **({"suggestion_shown": shown[number]} if shown else {})}
        for number, one in enumerate(said)
    ]
    item = {
        "prediction_id": f"p{next(_NUMBERS)}", "text": text, "created_at": "2026-11-23T09:00:00+00:00", "expires_at": 1,
        "review_state": "reviewed", "attempt": 1, "label": "good", "human_label": label, "answers": answers, **changes,
    }  # fmt: skip
    return StoredPrediction.parse({name: value for name, value in item.items() if value is not None})


def answered(shown_agreed: int, shown: int, hidden_agreed: int, hidden: int) -> list[StoredPrediction]:
    """One text for each answer."""
    drawn = [(True, number < shown_agreed) for number in range(shown)] + [(False, number < hidden_agreed) for number in range(hidden)]
    return [stored(f"text {number}", "good", ["good" if same else "bad"], [seen]) for number, (seen, same) in enumerate(drawn)]


def test_texts_that_say_nearly_the_same_should_have_one_label() -> None:
    found = report([
        stored("The room was clean, and the staff was friendly!", "good"), stored("the room was clean and the staff was friendly", "bad"),
        stored("Breakfast was cold.", "bad"), stored("breakfast was COLD", "bad"),
    ])  # fmt: skip

    [one] = found.conflicts
    assert (found.conflicting, one.labels) == (1, ("good", "bad"))


def test_labels_that_people_choose_for_the_same_texts_are_confused() -> None:
    texts = [f"but text {word}" for word in ("alpha", "beta", "gamma")]
    labelled = [stored(text, "good", ["good", "bad", "good"]) for text in texts[:2]]
    sure = [stored(f"sure text {number}", "bad", ["bad", "bad"]) for number in range(7)]
    slip = stored("a slip", "other", ["other", "good", "other"])

    [one] = report([*labelled, *sure, slip], [stored(texts[2], None, ["bad", "good"])]).confusions

    assert (one.labels, one.both, one.either, one.ended) == (("bad", "good"), 3, 11, {"good": 2})
    assert one.words == ("but",)
    assert one.hint == (
        'Say what decides between bad and good. Finish this line of review.guidelines.rules: - "Choose bad if ..., and good if ...." '
        "Most of these texts ended as good. They often have: but."
    )
    [pasted] = yaml.safe_load(one.hint.partition("rules: ")[2].partition(" Most")[0])
    review = {"guidelines": {"rules": [pasted.replace("...,", "the writer complains,").replace("....", "not.")]}}
    read = Settings.model_validate({"stage": "any", "review": review})
    assert read.review.guidelines.rules == ("Choose bad if the writer complains, and good if not.",)
    assert report([*labelled, *sure, slip], [stored(texts[2], None, ["bad", "good"])]).document()["confusions"][0]["rule"] == pasted


def test_nobody_confuses_a_label_with_the_answer_of_people_who_cannot_tell() -> None:
    assert report([stored(f"t{number}", "good", ["good", CANNOT_TELL, "good"]) for number in range(5)]).confusions == ()


def test_the_report_says_how_often_people_cannot_tell_and_about_what() -> None:
    clear = [stored(f"clear {number}", "good", ["good", "good"]) for number in range(4)]
    half = stored("half <clear>", "good", ["good", CANNOT_TELL, "good"])
    none = stored("not clear", None, [CANNOT_TELL, CANNOT_TELL, None])
    found = report([*clear, half], [none])
    assert (found.cannot_tell.count, found.cannot_tell.answers, found.cannot_tell.texts) == (3, 13, 2), "an unreadable answer is none"
    assert found.cannot_tell.examples == ("not clear", "half <clear>"), "the least clear one first"
    said = list(lines(found))
    assert "people cannot tell: in 3 of 13 answers (23.1 %), about 2 texts" in said
    assert f"  2 cannot tell: not clear ({none.prediction_id})" in said, "the lead sees it among the votes"
    assert "<p>In 3 of 13 answers (23.1 %), about 2 texts. Among them:</p>" in page(found)
    assert "<bdi>half &lt;clear&gt;</bdi>" in page(found)
    assert "people cannot tell: in none of 8 answers" in list(lines(report(clear)))
    assert "<p>In none of 0 answers.</p>" in page(report([]))


def test_what_people_say_beside_the_models_label_is_no_confusion() -> None:
    assert report([stored(f"t{number}", "good", ["good", "bad"], [True, False]) for number in range(5)]).confusions == ()


def test_the_pull_of_a_suggestion_has_an_interval() -> None:
    found = anchoring(answered(90, 100, 60, 100))

    assert found.difference == pytest.approx(0.3)
    assert found.low is not None and found.high is not None
    # Agresti and Caffo for independent answers: 91/102 - 61/102, give or take 1.96 standard errors.
    middle, error = 30 / 102, ((91 * 11 + 61 * 41) / 102**3) ** 0.5
    assert (found.low, found.high) == pytest.approx((middle - 1.96 * error, middle + 1.96 * error), abs=2e-3)


def test_answers_to_one_text_count_together() -> None:
    alone = anchoring(answered(80, 100, 50, 100))
    same = [stored(f"t{number}", "good", [said] * 4, [seen] * 4) for number, (seen, said) in enumerate(
        [(True, "good")] * 20 + [(True, "bad")] * 5 + [(False, "good")] * 12 + [(False, "bad")] * 13)]  # fmt: skip
    together = anchoring(same)

    assert (alone.shown, together.shown) == (100, 100)
    assert alone.low is not None and alone.high is not None and together.low is not None and together.high is not None
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_agreement_is_said_in_all_about_each_label_and_for_each_week() -> None:
    sunday, monday = ({"reviewed_at": f"2026-11-{day}T12:00:00+00:00"} for day in (22, 23))
    found = report([
        stored("one", "good", ["good", "good"], **sunday), stored("two", "bad", ["bad", "bad"], **sunday),
        stored("three", "good", ["good", "bad", "good"], **monday), stored("four", "other", ["other", "other"], **monday),
        stored("five", "unseen", ["unseen"], **monday),
    ], [stored("six", None, ["bad", "good"], [True, True], **monday)])  # fmt: skip

    assert list(found.agreement.by_class) == ["bad", "good", "other", "unseen"]
    assert [one.texts for one in found.agreement.by_week.values()] == [2, 2]
    said = "\n".join(lines(found))
    assert "how far people agree (Krippendorff's alpha: 1 is agreement, 0 is chance): 0.67 in 4 texts with two answers" in said
    for line in ("bad: 0.53 (2 texts with two answers)", "other: 1.00 (1 text with two answers)", "week of 2026-11-16: 1.00 (2 texts"):
        assert f"  {line}" in said
    assert "  unseen: undefined (0 texts with two answers)" in said
    assert "<td>unseen</td><td class=number>undefined</td>" in page(found)
    assert found.document()["agreement"]["by_class"]["unseen"] == {"value": None, "texts": 0, "low": None, "high": None}


def test_agreement_has_an_interval() -> None:
    monday = {"reviewed_at": "2026-11-23T12:00:00+00:00"}
    answers = [["good", "good"]] * 20 + [["bad", "bad"]] * 15 + [["good", "bad"]] * 5
    found = report([stored(f"text {number}", said[0], said, **monday) for number, said in enumerate(answers)])

    one = found.agreement.overall
    assert one.value is not None and one.low is not None and one.high is not None
    said = f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"
    assert f"is chance): {said} in 40 texts" in "\n".join(lines(found))
    for part in (found.agreement.by_class, found.agreement.by_week):
        for each in part.values():
            assert f"{each.value:.2f} ({each.low:.2f} to {each.high:.2f})" in page(found)


@pytest.mark.parametrize(("shown", "hidden"), [(FEWEST_COMPARED - 1, 100), (100, FEWEST_COMPARED - 1), (0, 0)])
def test_too_few_answers_are_not_compared(shown: int, hidden: int) -> None:
    found = anchoring(answered(shown, shown, hidden, hidden))

    assert (found.shown, found.hidden, found.difference) == (shown, hidden, None)


def test_answers_where_nothing_could_be_shown_do_not_count() -> None:
    assert anchoring([stored("t", "good", ["good"] * 50)]).hidden == 0


def test_the_report_is_read_on_a_terminal_in_a_browser_and_by_programs() -> None:
    evil = "<script>go()</script> was here, and the room was clean"
    found = report([stored(evil, "good"), stored(evil.upper(), "bad"), *answered(90, 100, 60, 100)])

    assert "people chose the model's label in 90.0 % of 100 answers with the suggestion" in "\n".join(lines(found))
    assert "<script" not in page(found).casefold() and "&lt;script&gt;" in page(found)
    assert json.loads(json.dumps(found.document()))["anchoring"]["shown"] == 100
    assert list(lines(report([]))) and isinstance(report([]), Report)


def test_what_nobody_sees_in_a_text_is_named_on_a_terminal_and_on_the_page() -> None:
    family, persian = "\U0001f468\u200d\U0001f469", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    text = f"pay \u202e05$ now\u200b! \x1b[2J <b> {family} {persian} a\u200db"
    plain = f"pay [U+202E]05$ now[U+200B]! [U+001B][2J <b> {family} {persian} a[U+200D]b"
    pair = [stored(text, "good"), stored(text.replace("!", "?"), "bad")]
    mixed = [stored(f"{text} {number}", "good", ["good", "bad", "good"]) for number in range(3)]
    found = report([*pair, *mixed], [stored(text, None, ["good", "bad"], votes={"good": 1, "bad": 1})])

    said = list(lines(found))
    assert [one for one in said if any(character in one for character in "\u202e\u200b\x1b")] == []
    for begin in ("  1 bad, 1 good: ", "  good: ", "    e.g. "):
        assert any(one.startswith(begin + plain[:40]) for one in said), begin
    assert plain in "\n".join(said)
    shown = page(found)
    assert not set("\u202e\u200b\x1b") & set(shown)
    assert (
        "pay <span class=unseen>U+202E</span>05$ now<span class=unseen>U+200B</span>! <span class=unseen>U+001B</span>[2J &lt;b&gt;"
        in shown
    )


def test_what_nobody_sees_is_the_same_here_and_on_the_worker_page() -> None:
    source = (Path(__file__).resolve().parents[3] / "review_page/assets/frame.js").read_text(encoding="utf-8")
    script = source.partition("const UNSEEN = /")[2].partition("/gu;")[0]
    pages = re.compile(re.sub(r"\\u\{(\w+)\}", lambda code: f"\\U{int(code[1], 16):08x}", script))
    both = [(pages.match(chr(code)) is not None, UNSEEN.match(chr(code)) is not None) for code in range(0x110000)]
    assert [hex(code) for code, (one, other) in enumerate(both) if one != other] == []


def test_a_text_is_one_line_of_the_list() -> None:
    found = report([], [stored("first\nsecond " + "long " * 60, None)])
    assert found.to_settle[0].text.startswith("first second long")
    assert found.to_settle[0].text.endswith("...")


def test_what_a_lead_has_to_decide_is_listed_with_its_votes() -> None:
    tied = stored("so <so>", None, ["good", "bad"], votes={"good": 1, "bad": 1}, prediction_id="text-1")
    found = report([], [tied, stored("unclear", None)])
    said = list(lines(found))
    assert said[0] == "0 texts with a label, 2 disputed; a lead decides them with labels correct"
    assert said[1] == "  1 bad, 1 good: so <so> (text-1)"
    row = "<td data-of=votes>1 bad, 1 good</td><td class=long data-of=text><bdi>so &lt;so&gt;</bdi></td><td class=long data-of="
    assert f"{row}prediction>text-1</td>" in page(found), "a text neither widens the page nor reorders what stands beside it"
    assert "Disputed texts" not in page(report([]))
    assert found.document()["to_settle"][0] == {"id": "text-1", "text": "so <so>", "votes": {"good": 1, "bad": 1}, "cannot_tell": 0}
    many = report([], [stored(f"t{number}", None) for number in range(51)])
    assert "51 disputed; a lead decides them with labels correct; the oldest 50" in next(iter(lines(many)))
