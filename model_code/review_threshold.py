"""The model's own review threshold, chosen at its training: the confidence below which people are asked.

With a promise, it is the lowest threshold that keeps the promise: of the answers that nobody reviews, at most a given share is wrong,
with a given confidence. Without one, it sends a given share of the validation texts to people. When the model serves, the settings may
put one fixed threshold in its place (``lambdas/prediction/predict/review_policy.py``).

The method for a promise is Learn then Test with fixed-sequence testing: Angelopoulos, Bates, Candès, Jordan and Lei, "Learn then Test:
Calibrating Predictive Algorithms to Achieve Risk Control", 2021. Candidates are thresholds. The highest is tried first, because it leaves
the fewest answers to the model. For each candidate, a binomial test asks whether more than the allowed share of the answers above it may be
wrong. The first candidate that fails the test ends the search. So no correction for the number of tests is needed: a wrong certificate
needs one wrong test, that of the first candidate that breaks the promise.

Texts of one group are alike. So they count as the number of independent texts that carry the same information: Korn and Graubard,
"Confidence Intervals for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data", 1998. With few groups that
number is itself uncertain, so it is smaller, by the ratio of two quantiles of Student's t distribution.

The promise holds for texts like those of the validation set. With other texts it may be broken, and the audit labels show that
(:mod:`contracts.review_promise`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv

from contracts.phrases import counted
from contracts.review_promise import EVERYTHING, Promise
from model_code.calibration import CONFIDENCE_DIGITS
from model_code.scoring import Floats, Labels, certain_part, effective_texts

FIRST_SHARE, STEP = 0.2, 0.025
"""With the first candidate, the model answers ``FIRST_SHARE`` of the texts alone. Each further candidate adds ``STEP``."""
HIGHEST: float = 1 - 0.5 / 10**CONFIDENCE_DIGITS
"""The highest threshold with which a model answers anything alone. A confidence that is served as 1 reaches it, and no other does. 1 itself
is :data:`EVERYTHING`, and easy texts have that confidence often."""


@dataclass(frozen=True)
class Certificate:
    """What was certified, and on what.

    Attributes:
        threshold: answers of at least this confidence are given alone; :data:`EVERYTHING` sends all texts to people.
        kept: whether a threshold was found that keeps the promise.
        texts, groups: of the validation set.
        share: of the validation texts that are answered alone.
        error: the share of these answers that is wrong; None without any.
        error_bound: what it is at most, with the promise's confidence; None without any.
        effective_texts: independent texts that would say as much as those answered alone.
    """

    max_error: float
    confidence: float
    threshold: float
    kept: bool
    texts: int
    groups: int
    share: float
    error: float | None = None
    error_bound: float | None = None
    effective_texts: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Shares with four digits. The threshold is exact."""
        return {
            name: round(value, 4) if isinstance(value, float) and name != "threshold" else value for name, value in asdict(self).items()
        }


def certify(
    confidence: Floats, wrong: NDArray[np.bool_], groups: Sequence[str] | Labels, promise: Promise, weights: Floats | None = None
) -> Certificate:
    """The lowest threshold that keeps the promise on these texts.

    Args:
        confidence: (texts,), as the model serves it.
        wrong: (texts,), whether the answer differs from the label.
        groups: of each text; texts of one group say less than as many of several.
        weights: (texts,), how often a text counts.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    texts = _Texts(confidence, wrong, group_of, np.ones(len(confidence)) if weights is None else weights, len(names))
    order = np.argsort(-confidence, kind="stable")
    best = None
    for count in _candidates(len(confidence), promise):
        found = texts.certificate(min(HIGHEST, float(confidence[order[count - 1]])), promise)
        if found is None:
            break
        best = found
    size = len(confidence)
    return best or Certificate(promise.max_error, promise.confidence, EVERYTHING, kept=False, texts=size, groups=len(names), share=0.0)


def threshold_for_share(confidence: Floats, share: float, weights: Floats | None = None) -> float:
    """The threshold that sends ``share`` of these texts to people. It promises nothing about errors.

    Texts of one confidence are on one side of it. So it sends fewer where many texts have the confidence at which the share is reached.

    Args:
        confidence: (texts,), as the model serves it.
        share: 1 sends all texts to people, 0 none.
        weights: (texts,), how often a text counts. With equal weights the threshold is numpy's linear quantile.
    """
    if share in (0, 1):
        return float(share)
    order = np.argsort(confidence, kind="stable")
    each = np.ones(len(confidence)) if weights is None else weights[order]
    middle = np.cumsum(each) - each / 2
    place = middle[0] + share * (middle[-1] - middle[0])
    return min(HIGHEST, float(np.interp(place, middle, confidence[order])))


def said(certificate: Certificate) -> str:
    """The certificate as one line for the job's log."""
    promised = f"at most {certificate.max_error:.1%} of the answers that nobody reviews are wrong, {certificate.confidence:.1%} sure"
    basis = f"{counted(certificate.texts, 'validation text')} in {counted(certificate.groups, 'group')}"
    if not certificate.kept:
        return f"review promise not kept: no threshold certifies that {promised}, on {basis}; every text goes to people"
    return (
        f"review promise certified at {certificate.threshold:.7g}: {promised}; {certificate.share:.1%} are answered alone, "
        f"{certificate.error:.1%} of them wrong, at most {certificate.error_bound:.1%}, on {basis}"
    )


def _candidates(texts: int, promise: Promise) -> list[int]:
    """The number of texts that the model answers alone, for each candidate. The first is large enough to certify half the allowed error,
    if there are that many texts.
    """
    first = next((size for size in range(1, texts + 1) if tail(promise.max_error / 2, size, promise) <= 1 - promise.confidence), texts)
    sizes: list[float] = (np.arange(max(FIRST_SHARE, first / max(1, texts)), 1 + STEP, STEP) * texts).tolist()
    return sorted({min(texts, round(size)) for size in sizes} - {0})


def tail(error: float, size: float, promise: Promise) -> float:
    """The probability of at most ``error * size`` errors among ``size`` independent texts, if exactly the allowed share is wrong.

    Neither number has to be whole.
    """
    wrong = error * size
    return float(betainc(size - wrong, wrong + 1, 1 - promise.max_error)) if wrong < size else 1.0


@dataclass(frozen=True)
class _Texts:
    """The validation texts, each field but the number of groups (texts,)."""

    confidence: Floats
    wrong: NDArray[np.bool_]
    group_of: Labels
    weights: Floats
    groups: int

    def certificate(self, threshold: float, promise: Promise) -> Certificate | None:
        """The certificate of one candidate; None if its answers may break the promise."""
        alone = self.confidence >= threshold
        inside = self.weights[alone]
        error = float(np.average(self.wrong[alone], weights=inside))
        effective = effective_texts(self.wrong[alone], self.group_of[alone], inside)
        effective *= certain_part(int(alone.sum()), len(np.unique(self.group_of[alone])), promise.confidence)
        if tail(error, effective, promise) > 1 - promise.confidence:
            return None
        return Certificate(
            max_error=promise.max_error,
            confidence=promise.confidence,
            threshold=threshold,
            kept=True,
            texts=len(self.wrong),
            groups=self.groups,
            share=float(inside.sum() / self.weights.sum()),
            error=error,
            error_bound=float(betaincinv(error * effective + 1, (1 - error) * effective, promise.confidence)),
            effective_texts=effective,
        )
