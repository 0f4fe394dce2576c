"""Whether people look at a prediction that was just made: which threshold counts for it, and the random audit.

A rollout also sends people some texts on which its two models differ; ``score_pair`` decides that.
"""

from __future__ import annotations

import hashlib

from contracts.review_promise import EVERYTHING
from lambdas.common.review import ReviewReason, ReviewState

_DRAWS = 2**32


def review_threshold(model_threshold: float, fixed_threshold: float | None) -> float:
    """The confidence below which people are asked.

    Args:
        model_threshold: the serving model's own threshold, from its validation confidences.
        fixed_threshold: ``review.threshold`` of the settings when it is a number; it then replaces the model's.
    """
    return model_threshold if fixed_threshold is None else fixed_threshold


def review_reason(prediction_id: str, confidence: float, *, threshold: float, audit_share: float) -> ReviewReason | None:
    """Why this prediction goes to people, or None when it does not.

    Args:
        threshold: see :func:`review_threshold`. 1 sends everything to people, also what the model is entirely sure of.
        audit_share: share of all answers that is drawn at random. The confident ones among them go to people only because of that, and
            their labels say how good the confident answers are. All of them together are a sample of the traffic that no model chose.
            The draw is a hash of the id alone, so it can be checked afterwards.
    """
    drawn = int.from_bytes(hashlib.sha256(prediction_id.encode()).digest()[:4], "big") < audit_share * _DRAWS
    if confidence < threshold or threshold >= EVERYTHING:
        return ReviewReason.AUDIT_UNSURE if drawn else ReviewReason.LOW_CONFIDENCE
    return ReviewReason.AUDIT_SAMPLE if drawn else None


def first_state(reason: ReviewReason | None, *, daily_budget: int) -> ReviewState:
    """The state in which a prediction's review begins.

    Only what the model chose waits for a place in the daily budget (0: there is none). A drawn text never does, because a sample of which
    some texts are left out by their confidence is no sample.
    """
    if reason is None:
        return ReviewState.NOT_REQUIRED
    return ReviewState.WAITING if daily_budget and reason is ReviewReason.LOW_CONFIDENCE else ReviewState.REQUESTED
