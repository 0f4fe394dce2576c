"""The audit labels of one day, in the order in which they came: pure.

The audit sample is drawn at random. The confident answers in it are those that nobody would have reviewed. What people say about these
texts shows how often the model is wrong where nobody looks. The unsure ones have another reason (``AUDIT_UNSURE``) and are not read here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.shared_words import CHAMPION
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewReason


@dataclass(frozen=True)
class Audit:
    """One audit label.

    Attributes:
        wrong: whether people gave another label than the model.
        as_champion: whether the model answered as champion.
        answered_at: when the model answered, ISO 8601 UTC.
    """

    model_version: str
    wrong: bool
    as_champion: bool
    answered_at: str


def audits(labels: Iterable[StoredPrediction]) -> list[Audit]:
    """Those among ``labels``, the oldest first. A review that ended without a label says nothing about the model, and is left out."""
    return [
        Audit(one.model_version, one.label != one.human_label, one.variant == CHAMPION, one.created_at)
        for one in sorted(labels, key=lambda one: (one.reviewed_at or "", one.prediction_id))
        if one.review_reason == ReviewReason.AUDIT_SAMPLE and one.model_version and one.label is not None and one.human_label is not None
    ]
