"""The review promise, and the evidence against it that audit labels collect: pure, standard library only.

Training chooses a threshold that keeps the promise on its validation texts. Traffic may differ from them. An audit sample is a random
share of the answers that nobody would have reviewed, so its labels test the promise while the model serves.

The test is an e-process, which may be looked at after every label. If the promise holds, the evidence ever reaches ``1 / (1 - confidence)``
with a probability of at most ``1 - confidence``. Source: Waudby-Smith and Ramdas, "Estimating Means of Bounded Random Variables by
Betting", 2023; Ville's inequality.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from contracts.bounds import PROMISED_CONFIDENCE, PROMISED_ERROR

EVERYTHING = 1.0
"""The threshold that sends every text to people, whatever its confidence."""
BETS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
"""Shares of the capital that are bet against the promise. Small ones win against small breaches, large ones notice large breaches soon."""


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

    Seven gamblers bet a fixed share of their capital on *more than* ``max_error`` *are wrong*; the evidence is their mean capital.

    Args:
        wrong: whether people's label differs from the model's, one for each audited answer.
    """
    needed = -math.log1p(-promise.confidence)
    # A bet b pays 1 - b when the model is right, and on the average 1 when exactly max_error of the answers are wrong.
    right_pays = [math.log1p(-bet) for bet in BETS]
    wrong_pays = [math.log1p(bet * (1 - promise.max_error) / promise.max_error) for bet in BETS]
    capital = [0.0] * len(BETS)
    read, errors, highest, refuted = 0, 0, 0.0, None
    for is_wrong in wrong:
        read, errors = read + 1, errors + bool(is_wrong)
        capital = [own + pays for own, pays in zip(capital, wrong_pays if is_wrong else right_pays, strict=True)]
        top = max(capital)
        mean = top + math.log(sum(math.exp(own - top) for own in capital) / len(capital))
        highest = max(highest, mean)
        if refuted is None and mean >= needed:
            refuted = read
    return Evidence(read, errors, math.exp(min(highest - needed, 700.0)), refuted)
