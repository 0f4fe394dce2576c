"""Krippendorff's alpha against the examples of his own paper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.common.agreement import Alpha, alpha, alpha_by_class, alpha_by_day, first_answers

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


def test_a_class_that_people_mix_up_stands_out() -> None:
    classes = alpha_by_class([["a", "a"]] * 5 + [["b", "c"], ["c", "b"], ["b", "b"], ["c", "c"]])
    assert classes["a"].value == 1.0
    assert classes["b"].value == pytest.approx(classes["c"].value)
    assert (classes["b"].value or 0) < 0.5


def test_days_are_in_order() -> None:
    days = alpha_by_day({"2026-01-02": [["a", "b"]], "2026-01-01": [["a", "a"], ["b", "b"]]})
    assert list(days) == ["2026-01-01", "2026-01-02"]
    assert (days["2026-01-01"].value, days["2026-01-02"].value) == (1.0, 0.0)


def test_a_third_answer_that_was_asked_for_because_two_differ_does_not_count() -> None:
    assert first_answers(["a", "b", "b"]) == ["a", "b"]
    assert first_answers(["a", None, "b"]) == ["a"]


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=2, max_size=4), min_size=1, max_size=12).flatmap(
    lambda texts: st.tuples(st.just(texts), st.permutations(texts))
))  # fmt: skip
def test_it_is_at_most_one_and_the_order_of_the_texts_does_not_matter(pair: tuple[list[list[str]], list[list[str]]]) -> None:
    one, other = (alpha(texts).value for texts in pair)
    assert (one is None) == (other is None)
    if one is not None:
        assert one == pytest.approx(other)
        assert one <= 1
