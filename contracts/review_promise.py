"""The review promise, and the evidence against it that audit labels collect: pure, standard library only.

Training chooses a threshold that keeps the promise on its validation texts. Traffic may differ from them. An audit sample is a random
share of the answers that nobody would have reviewed, so its labels test the promise while the model serves.

The test bets against the promise (:mod:`contracts.betting`), so it may be looked at after every label. If the promise holds, the evidence
ever reaches ``1 / (1 - confidence)`` with a probability of at most ``1 - confidence``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from contracts.betting import BETS, log_mean, pays
from contracts.bounds import PROMISED_CONFIDENCE, PROMISED_ERROR

EVERYTHING = 1.0
"""The threshold that sends every text to people, whatever its confidence."""


@dataclass(frozen=True)
class Promise:
    """At most ``max_error`` of the answers that nobody reviews are wrong, with probability ``confidence``."""

    max_error: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.max_error not in PROMISED_ERROR:
            raise ValueError(f"max_error {self.max_error}: allowed is {PROMISED_ERROR}")
        if self.confidence not in PROMISED_CONFIDENCE:
            raise ValueError(f"confidence {self.confidence}: allowed is {PROMISED_CONFIDENCE}")


@dataclass(frozen=True)
class Evidence:
    """What the labels say against a promise.

    Attributes:
        labels, wrong: how many were read, and for how many the model was wrong.
        strength: the largest evidence so far, divided by what refutes the promise. From 1 on the promise is refuted.
        refuted_after: the number of labels at which it was first refuted, or None.
    """

    labels: int
    wrong: int
    strength: float
    refuted_after: int | None


def evidence(wrong: Iterable[bool], promise: Promise) -> Evidence:
    """Read audit labels in the order in which they came.

    Args:
        wrong: whether people's label differs from the model's, one for each audited answer.
    """
    needed = -math.log1p(-promise.confidence)
    right_pays, wrong_pays = ([pays(value, promise.max_error, bet) for bet in BETS] for value in (0.0, 1.0))
    capital = [0.0] * len(BETS)
    read, errors, highest, refuted = 0, 0, 0.0, None
    for is_wrong in wrong:
        read, errors = read + 1, errors + bool(is_wrong)
        capital = [own + gain for own, gain in zip(capital, wrong_pays if is_wrong else right_pays, strict=True)]
        mean = log_mean(capital)
        highest = max(highest, mean)
        if refuted is None and mean >= needed:
            refuted = read
    return Evidence(read, errors, math.exp(min(highest - needed, 700.0)), refuted)
