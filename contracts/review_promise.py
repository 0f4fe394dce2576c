"""The review promise, and the evidence against it that audit labels collect: pure, standard library only.

Training chooses a threshold that keeps the promise on its validation texts. Traffic may differ from them. The confident answers of the
audit sample are a random share of those that nobody would have reviewed, so their labels test the promise while the model serves.

The test bets against the promise (:mod:`contracts.betting`), so it may be looked at after every label. If the promise holds, the evidence
ever reaches ``1 / (1 - confidence)`` with a probability of at most ``1 - confidence``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.betting import BETS, log_mean, pays
from contracts.bounds import PROMISED_CONFIDENCE, PROMISED_ERROR

EVERYTHING = 1.0
"""The threshold that sends every text to people, whatever its confidence."""
_ROUNDING = 1e-6


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
    """What the labels say against a promise, and where a bet stands: :func:`evidence` goes on from here.

    Attributes:
        labels, wrong: how many were read, and for how many the model was wrong.
        log_strength: natural logarithm of :attr:`strength`, which may be too large for a float.
        refuted_after: the number of labels at which it was first refuted, or None.
    """

    labels: int
    wrong: int
    log_strength: float
    refuted_after: int | None

    @property
    def strength(self) -> float:
        """The largest evidence so far, divided by what refutes the promise. From 1 on the promise is refuted."""
        return math.exp(min(self.log_strength, 700.0))

    @classmethod
    def read(cls, fields: Any, promise: Promise) -> Evidence:
        """From an object with exactly these four fields.

        Raises:
            ValueError: no labels against this promise can have led here. The text names the field.
        """
        names = ("labels", "wrong", "log_strength", "refuted_after")
        if not isinstance(fields, Mapping) or set(fields) != set(names):
            raise ValueError(f"evidence {fields!r} must be an object of {', '.join(names)}")
        labels, wrong, log_strength, refuted_after = (fields[name] for name in names)
        if type(labels) is not int or labels < 0:
            raise ValueError(f"labels {labels!r} must be a whole number from 0")
        if type(wrong) is not int or not 0 <= wrong <= labels:
            raise ValueError(f"wrong {wrong!r} must be a whole number from 0 to labels, {labels}")
        odds = _Odds(promise)
        low = max(odds.log_strength(0, 0), odds.log_strength(labels, wrong))
        high = odds.log_strength(wrong, wrong)  # had all wrong ones come first
        if type(log_strength) is not float or not low - _ROUNDING <= log_strength <= high + _ROUNDING:
            raise ValueError(f"log_strength {log_strength!r} must be a number from {low} to {high}")
        if (refuted_after is None) != (log_strength < 0):
            raise ValueError(f"refuted_after {refuted_after!r} and log_strength {log_strength!r} contradict each other")
        if refuted_after is not None and (type(refuted_after) is not int or not 1 <= refuted_after <= labels):
            raise ValueError(f"refuted_after {refuted_after!r} must be a whole number from 1 to labels, {labels}")
        return cls(labels, wrong, log_strength, refuted_after)


def evidence(wrong: Iterable[bool], promise: Promise, start: Evidence | None = None) -> Evidence:
    """Read audit labels in the order in which they came.

    Args:
        wrong: whether people's label differs from the model's, one for each audited answer.
        start: what the labels before these said. The result is exactly that of one call with all labels. None: these are the first.
    """
    odds = _Odds(promise)
    found = Evidence(0, 0, odds.log_strength(0, 0), None) if start is None else start
    read, errors, highest, refuted = found.labels, found.wrong, found.log_strength, found.refuted_after
    for is_wrong in wrong:
        read, errors = read + 1, errors + bool(is_wrong)
        now = odds.log_strength(read, errors)
        highest = max(highest, now)
        if refuted is None and now >= 0:
            refuted = read
    return Evidence(read, errors, highest, refuted)


class _Odds:
    def __init__(self, promise: Promise) -> None:
        self._paid = [(pays(0.0, promise.max_error, bet), pays(1.0, promise.max_error, bet)) for bet in BETS]
        self._needed = -math.log1p(-promise.confidence)

    def log_strength(self, labels: int, wrong: int) -> float:
        """Logarithm of the evidence after so many labels, divided by what refutes the promise. The order of the labels does not matter."""
        right = labels - wrong
        return log_mean([right * for_right + wrong * for_wrong for for_right, for_wrong in self._paid]) - self._needed
