"""Wilson's interval of a share: the container writes it, the gates widen it for many classes. One place, so the two agree."""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.95


def critical_value(comparisons: int = 1) -> float:
    """The critical value of a two-sided 95 % interval. With several ``comparisons``, 95 % is for all intervals together (Bonferroni)."""
    return NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / comparisons)


def wilson(share: float, size: float, critical: float) -> tuple[float, float]:
    """The interval of a share that was seen in ``size`` independent tries, which need be no whole number.

    It keeps its promise near 0 and 1 and with few tries, where a bootstrap has no width. Source: Brown, Cai and DasGupta, "Interval
    Estimation for a Binomial Proportion", 2001.
    """
    square = critical**2
    middle = (share + square / (2 * size)) / (1 + square / size)
    half = critical / (1 + square / size) * math.sqrt(share * (1 - share) / size + square / (4 * size**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def unseen_share(tries: float) -> float:
    """The share of misses at which none is seen in so many tries with a probability of 2.5 %. The tries need be no whole number.

    Source: Clopper and Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", 1934.
    """
    return float(1 - ((1 - CONFIDENCE) / 2) ** (1 / tries))


def tries_to_refute(share: float, critical: float) -> int:
    """The fewest tries that can show that a share is below ``share``: with so many, and all of them wrong, the interval ends below it."""
    return math.floor(critical**2 * (1 - share) / share) + 1
