"""Which predictions people look at: the one place where a review threshold is decided."""

from __future__ import annotations

import hashlib

from lambdas.common.review import ReviewReason

_DRAWS = 2**32


def review_reason(
    prediction_id: str, confidence: float, *, model_threshold: float, fixed_threshold: float | None, audit_share: float
) -> ReviewReason | None:
    """Why this prediction goes to people, or None when it does not.

    Args:
        model_threshold: the serving model's own threshold, from its validation confidences.
        fixed_threshold: ``review.threshold`` of the settings when it is a number; it then replaces the model's.
        audit_share: share of all predictions drawn at random, whatever their confidence, so that labels also say how
            good the confident answers are. The draw is a hash of the id, so it can be checked afterwards.
    """
    threshold = model_threshold if fixed_threshold is None else fixed_threshold
    if confidence < threshold:
        return ReviewReason.LOW_CONFIDENCE
    draw = int.from_bytes(hashlib.sha256(prediction_id.encode()).digest()[:4], "big")
    return ReviewReason.AUDIT_SAMPLE if draw < audit_share * _DRAWS else None
