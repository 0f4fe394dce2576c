"""Evidence by betting: the closed form against a literal product over single values, and its promise at every look."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.betting import BETS, LARGEST, growth, log_evidence, lower_bound, told

values = st.lists(st.sampled_from([Fraction(0), Fraction(1, 2), Fraction(1)]), max_size=15)
means = st.fractions(Fraction(1, 100), Fraction(99, 100))


def by_hand(sequence: list[Fraction], mean: Fraction) -> Fraction:
    """Every gambler plays each value in turn; exact."""
    capitals = []
    for bet in map(Fraction, map(str, BETS)):
        capital = Fraction(1)
        for value in sequence:
            capital *= 1 + bet * (value - mean) / mean
        capitals.append(capital)
    return sum(capitals, Fraction(0)) / len(capitals)


def counted(sequence: list[Fraction]) -> list[tuple[float, float]]:
    return [(float(value), sequence.count(value)) for value in sorted(set(sequence))]


@settings(max_examples=25)
@given(values, means)
def test_the_closed_form_is_the_product_over_single_values(sequence: list[Fraction], mean: Fraction) -> None:
    assert log_evidence(counted(sequence), float(mean)) == pytest.approx(math.log(by_hand(sequence, mean)), abs=1e-9)


@settings(max_examples=25)
@given(means)
def test_a_value_more_changes_nothing_on_the_average_when_the_mean_is_the_claimed_one(mean: Fraction) -> None:
    """So the evidence is a martingale, which is what Ville's inequality needs."""
    won, lost = by_hand([Fraction(1)], mean), by_hand([Fraction(0)], mean)
    assert mean * won + (1 - mean) * lost == 1


@pytest.mark.parametrize("mean", [0.475, 0.5])
def test_a_true_claim_is_refuted_in_at_most_five_of_a_hundred_runs_however_often_one_looks(mean: float) -> None:
    draw, refuted = random.Random(5), 0  # noqa: S311  (reproducible values, not a secret)
    for _ in range(200):
        won = 0
        for count in range(10, 151, 10):
            won += sum(draw.random() < mean for _ in range(10))
            if log_evidence(((0.0, count - won), (1.0, won)), mean) >= math.log(20):
                refuted += 1
                break
    assert refuted <= 10


@settings(max_examples=25)
@given(values)
def test_the_lower_bound_is_the_largest_mean_that_is_refuted(sequence: list[Fraction]) -> None:
    bound = lower_bound(counted(sequence), 0.05)
    if bound > 1e-9:
        assert log_evidence(counted(sequence), bound) >= math.log(20) - 1e-6
    assert log_evidence(counted(sequence), min(1.0, bound + 1e-6)) < math.log(20) + 1e-3
    assert bound <= (float(sum(sequence)) / len(sequence) if sequence else 0.0)


def test_the_growth_is_that_of_the_best_bet() -> None:
    assert growth(((1.0, 0.5), (0.0, 0.5)), 0.25) == pytest.approx(max(0.5 * math.log1p(3 * bet) + 0.5 * math.log1p(-bet) for bet in BETS))


@pytest.mark.parametrize(("log", "number"), [(0.0, 1.0), (math.log(12.3456), 12.3), (-5000.0, 0.0), (5000.0, LARGEST), (math.inf, LARGEST)])
def test_evidence_is_told_in_three_digits(log: float, number: float) -> None:
    assert told(log) == number
