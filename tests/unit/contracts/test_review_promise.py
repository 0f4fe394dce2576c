"""Evidence against a promise, however often somebody looks."""

from __future__ import annotations

import json
import random
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.betting import BETS
from contracts.review_promise import Evidence, Promise, evidence

TEN_PERCENT = Promise(0.1, 0.95)


def labels(error: float, count: int, seed: int) -> list[bool]:
    draw = random.Random(seed)  # noqa: S311  (reproducible labels, not a secret)
    return [draw.random() < error for _ in range(count)]


def test_without_labels_there_is_no_evidence() -> None:
    found = evidence([], TEN_PERCENT)
    assert (found.labels, found.wrong, found.strength, found.refuted_after) == (0, 0, pytest.approx(0.05), None)


def test_the_evidence_is_the_mean_capital_of_the_bets() -> None:
    capital = [(1 - bet) * (1 + bet * 9) for bet in BETS]  # right once, wrong once
    assert evidence([False, True], TEN_PERCENT).strength == pytest.approx(max(1.0, sum(capital) / len(BETS)) / 20)


def test_a_promise_that_just_holds_is_refuted_in_at_most_five_of_a_hundred_cases() -> None:
    refuted = sum(evidence(labels(0.1, 400, seed), TEN_PERCENT).refuted_after is not None for seed in range(300))
    assert refuted <= 15


@pytest.mark.parametrize(("error", "median"), [(0.32, 40), (0.2, 150)])
def test_a_breach_is_noticed_soon(error: float, median: int) -> None:
    found = sorted(evidence(labels(error, 1_000, seed), TEN_PERCENT).refuted_after or 10_000 for seed in range(51))
    assert found[25] <= median


@given(st.lists(st.booleans(), max_size=60), st.floats(0.01, 0.5), st.floats(0.5, 0.999))
def test_strength_never_falls_and_refutes_from_one_on(wrong: list[bool], error: float, confidence: float) -> None:
    promise = Promise(error, confidence)
    read = [evidence(wrong[:size], promise) for size in range(len(wrong) + 1)]
    assert all(one.strength <= other.strength * (1 + 1e-9) for one, other in pairwise(read))
    last = read[-1]
    assert (last.labels, last.wrong) == (len(wrong), sum(wrong))
    if last.refuted_after is None:
        assert last.strength < 1
    else:
        assert last.strength >= 1 - 1e-9
        assert last.refuted_after == next(one.labels for one in read if one.refuted_after is not None)


@pytest.mark.parametrize(
    ("error", "confidence", "named"), [(0.0, 0.95, "max_error 0.0"), (0.6, 0.95, "max_error 0.6"), (0.1, 1.0, "confidence 1.0")]
)
def test_a_promise_out_of_bounds_is_refused(error: float, confidence: float, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Promise(error, confidence)


@given(st.lists(st.lists(st.booleans(), max_size=40), max_size=6), st.floats(0.01, 0.5), st.floats(0.5, 0.999))
def test_a_bet_that_is_kept_between_its_labels_is_the_bet_on_all_of_them(days: list[list[bool]], error: float, confidence: float) -> None:
    promise, kept = Promise(error, confidence), None
    for day in days:
        kept = evidence(day, promise, kept)
        assert Evidence.read(json.loads(json.dumps(asdict(kept))), promise) == kept
    assert evidence([], promise, kept) == evidence([wrong for day in days for wrong in day], promise)


REFUTED = asdict(evidence([True] * 5, TEN_PERCENT))
OPEN = asdict(evidence([False, True], TEN_PERCENT))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (None, "must be an object"),
        ({"labels": 1, "wrong": 0}, "must be an object"),
        ({**OPEN, "more": 1}, "must be an object"),
        ({**OPEN, "labels": True}, "labels True"),
        ({**OPEN, "labels": -1}, "labels -1"),
        ({**OPEN, "wrong": 3}, "wrong 3"),
        ({**OPEN, "wrong": 0.5}, "wrong 0.5"),
        ({**OPEN, "log_strength": 0.1}, "log_strength 0.1"),
        ({**OPEN, "log_strength": -9.0}, "log_strength -9.0"),
        ({**OPEN, "log_strength": float("nan")}, "log_strength nan"),
        ({**OPEN, "log_strength": None}, "log_strength None"),
        ({**OPEN, "refuted_after": 1}, "refuted_after 1 and log_strength"),
        ({**REFUTED, "refuted_after": None}, "refuted_after None and log_strength"),
        ({**REFUTED, "refuted_after": 6}, "refuted_after 6"),
        ({**REFUTED, "refuted_after": "3"}, "refuted_after '3'"),
    ],
)
def test_evidence_that_no_labels_can_have_led_to_is_refused(fields: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Evidence.read(fields, TEN_PERCENT)
