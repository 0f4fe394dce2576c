"""Evidence by betting against a mean, however often somebody looks: pure, standard library only.

Values lie within 0..1, and the claim is that their mean, given all earlier ones, is at most ``mean``. Seven gamblers start with a capital
of 1 and bet a fixed share of it on *more than that*. The evidence is their mean capital. If the claim holds, the evidence ever reaches
``1 / error`` with a probability of at most ``error``, so it may be looked at after every value (Ville's inequality). With fixed bets the
capital is a product, so it depends only on how often each value came.

Source: Waudby-Smith and Ramdas, "Estimating Means of Bounded Random Variables by Betting", Journal of the Royal Statistical Society B,
2023; Ville, 1939.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

BETS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
"""Shares of the capital. Small ones win against small breaches, large ones notice large breaches soon."""
Counts = Iterable[tuple[float, float]]
"""(value within 0..1, how often it came)."""
LARGEST = 1e9
"""Evidence is told up to here."""
_STEPS = 40
_NUMBERS = range(len(BETS))


def pays(value: float, mean: float, bet: float) -> float:
    """Logarithm of what a bet pays for one value: on the average 1 when the mean is ``mean``, which lies above 0 and is at most 1."""
    return math.log1p(bet * (value - mean) / mean)


@lru_cache(256)
def _all_pay(value: float, mean: float) -> tuple[float, ...]:
    return tuple(pays(value, mean, bet) for bet in BETS)


def log_mean(capital: Sequence[float]) -> float:
    """Logarithm of the mean capital, from the gamblers' logarithms."""
    top = max(capital)
    return top + math.log(sum(math.exp(own - top) for own in capital) / len(capital))


def log_evidence(counts: Counts, mean: float) -> float:
    """Logarithm of the evidence against *the mean is at most* ``mean``, which lies above 0 and is at most 1."""
    given = [(times, _all_pay(value, mean)) for value, times in counts if times]
    return log_mean([sum(times * gains[bet] for times, gains in given) for bet in _NUMBERS]) if given else 0.0


def growth(shares: Counts, mean: float) -> float:
    """What one value more adds to the logarithm, for the best of the bets, when values come in these shares (which sum to 1)."""
    gains = [(share, _all_pay(value, mean)) for value, share in shares]
    return max(sum(share * gain[bet] for share, gain in gains) for bet in _NUMBERS)


def lower_bound(counts: Counts, error: float) -> float:
    """The mean is above this with probability ``1 - error``, at all looks together: the largest mean that the bets refute, else 0.

    The evidence falls as ``mean`` grows, so the bound is found by halving.
    """
    given, needed = list(counts), -math.log(error)
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if log_evidence(given, middle) >= needed else (low, middle)
    return low


def told(log: float) -> float:
    """Evidence as a number for people: three digits, at most :data:`LARGEST`."""
    return float(f"{math.exp(min(log, math.log(LARGEST))):.3g}")
