"""Krippendorff's alpha against the examples of his own paper."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.common.agreement import MOST_DRAWN, Alpha, alpha, alpha_by_class, alpha_over_time, compared_labels
from lambdas.common.predictions import StoredPrediction

# "Computing Krippendorff's Alpha-Reliability", example C: four observers, twelve units, values missing (.); nominal alpha is .743.
OBSERVERS = ("12332141 2...", "12332241 25.3", ".3332342 251.", "12332441 251.")
UNITS = [[row[unit] for row in (line.replace(" ", "") for line in OBSERVERS) if row[unit] != "."] for unit in range(12)]


def test_the_paper_s_example_with_missing_values() -> None:
    assert alpha(UNITS) == Alpha(pytest.approx(0.743, abs=0.0005), 11)


def test_the_paper_s_example_of_two_observers_and_two_values() -> None:
    first, second = "0100000000", "1110010100"
    assert alpha(list(zip(first, second, strict=True))).value == pytest.approx(0.095, abs=0.0005)


@pytest.mark.parametrize("texts", [[], [["a"], ["b"]], [["a", "a"], ["a", "a"]]])
def test_without_two_answers_or_two_labels_it_is_undefined(texts: list[list[str]]) -> None:
    assert alpha(texts).value is None


def answers_of(draw: random.Random, texts: int) -> list[list[str]]:
    """Two people who are each right on 85 of 100 texts, three labels."""
    truth = draw.choices("abc", (5, 3, 2), k=texts)
    return [[label if draw.random() < 0.85 else draw.choice("abc") for _ in range(2)] for label in truth]


def test_the_interval_holds_as_often_as_it_says() -> None:
    draw = random.Random(2)  # noqa: S311  (reproducible answers, not a secret)
    true = alpha(answers_of(draw, 100_000)).value
    assert true is not None
    found = [alpha(answers_of(draw, 60), interval=True) for _ in range(60)]
    held = [one.low <= true <= one.high for one in found if one.low is not None and one.high is not None]
    assert len(held) == 60 and sum(held) >= 0.9 * 60


def test_the_interval_is_always_the_same_and_that_of_many_texts_is_as_narrow_as_it_should_be() -> None:
    few = answers_of(random.Random(3), MOST_DRAWN)  # noqa: S311  (reproducible answers, not a secret)
    one, again, many = (alpha(texts, interval=True) for texts in (few, few[::-1], few * 4))
    assert one == again
    widths = [each.high - each.low for each in (one, many) if each.low is not None and each.high is not None]
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.15)


def test_agreement_of_few_texts_may_be_chance_although_nobody_differs() -> None:
    found = alpha([["a", "a"]] * 10 + [["b", "b"]] * 10, interval=True)
    # In 20 texts 16.8 % may differ unseen, and half would by chance.
    assert (found.value, found.low, found.high) == (1.0, pytest.approx(1 - 0.1684 / 0.5, abs=1e-3), 1.0)
    assert alpha([["a", "a"], ["b", "b"]] * 4, interval=True) == Alpha(1.0, 8)


def test_a_label_s_alpha_worked_out_by_hand() -> None:
    """For label a the answers are 11 10 00 00: of 8 answers 3 are it, and one text has two that differ. So alpha is
    1 - (8 - 1) * 2 / (8**2 - 3**2 - 5**2) = 1 - 14/30. Label b is alike. Nobody differs about c."""
    assert alpha_by_class([["a", "a"], ["a", "b"], ["b", "b"], ["c", "c"], ["d"]], ["e"]) == {
        "a": Alpha(pytest.approx(8 / 15), 2),
        "b": Alpha(pytest.approx(8 / 15), 2),
        "c": Alpha(1.0, 1),
        "d": Alpha(None, 0),
        "e": Alpha(None, 0),
    }


def by_definition(texts: list[list[str]], label: str) -> float | None:
    """1 - D_o / D_e with the nominal difference of "is the label" and "is not", pair by pair (Krippendorff 2011, sections A and C)."""
    units = [[one == label for one in labels] for labels in texts if len(labels) > 1]
    values = [one for unit in units for one in unit]
    observed = sum(sum(one != other for one in unit for other in unit) / (len(unit) - 1) for unit in units)
    expected = sum(one != other for one in values for other in values)
    return 1 - (observed / len(values)) / (expected / (len(values) * (len(values) - 1))) if expected else None


def test_every_label_s_alpha_is_krippendorff_s_definition_for_the_label_against_the_rest() -> None:
    found = alpha_by_class(UNITS)
    assert {label: one.value for label, one in found.items()} == {label: pytest.approx(by_definition(UNITS, label)) for label in "12345"}


def test_weeks_are_in_order() -> None:
    weeks = alpha_over_time({"2026-01-12": [["a", "b"]], "2026-01-05": [["a", "a"], ["b", "b"]]})
    assert list(weeks) == ["2026-01-05", "2026-01-12"]
    assert (weeks["2026-01-05"].value, weeks["2026-01-12"].value) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("labels", "changes", "compared"),
    [
        (("a", "b", "b"), {}, ["a", "b"]),
        (("a", None, "b"), {}, ["a"]),
        (("a", "cannot-tell", "a"), {}, ["a"]),
        (("a", "gone"), {}, ["a"]),
        (("a", "b"), {"review_reason": "audit_sample"}, ["a", "b"]),
        (("a", "b"), {"review_reason": "pair"}, []),
        (("a", "b"), {"model_prior": 0.7}, []),
    ],
)
def test_the_first_two_answers_count_and_no_later_one_takes_the_place_of_one_without_a_label(
    labels: tuple[str | None, ...], changes: dict[str, Any], compared: list[str]
) -> None:
    """A third answer is there because two differ: with it, texts that people differ about would count more than the others."""
    answers = [{"worker_id": f"w{number}", "label": label} for number, label in enumerate(labels)]
    item = {"prediction_id": "p", "text": "t", "created_at": "2026-01-01", "expires_at": 1, "review_state": "reviewed", "attempt": 1}
    assert compared_labels(StoredPrediction.parse({**item, "answers": answers, **changes}), ("a", "b")) == compared


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=2, max_size=4), min_size=1, max_size=12).flatmap(
    lambda texts: st.tuples(st.just(texts), st.permutations(texts))
))  # fmt: skip
def test_it_is_at_most_one_and_the_order_of_the_texts_does_not_matter(pair: tuple[list[list[str]], list[list[str]]]) -> None:
    one, other = (alpha(texts).value for texts in pair)
    assert (one is None) == (other is None)
    if one is not None:
        assert one == pytest.approx(other)
        assert one <= 1
