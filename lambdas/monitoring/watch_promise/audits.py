"""The audit labels of the champion, in the order in which they came: pure.

An audit sample is drawn at random from the answers that nobody would have reviewed. What people say about these texts shows how often the
model is wrong where nobody looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.shared_words import CHAMPION
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewReason


@dataclass(frozen=True)
class Audits:
    """``wrong``: for each audit label of the model, the oldest first, whether people gave another label than the model."""

    model_version: str
    wrong: tuple[bool, ...]


def champions_audits(labels: Iterable[StoredPrediction]) -> Audits | None:
    """Those of the model that gave the newest audited answer as champion. Its answers as challenger count too. None: there is none yet.

    A review that ended without a label says nothing about the model, and is left out.

    Args:
        labels: records with people's labels, the oldest label first.
    """
    audited = [
        (one.variant, one.model_version, one.label != one.human_label)
        for one in labels
        if one.review_reason == ReviewReason.AUDIT_SAMPLE and one.label is not None and one.human_label is not None
    ]
    champion = next((version for variant, version, _ in reversed(audited) if variant == CHAMPION), None)
    return None if champion is None else Audits(champion, tuple(wrong for _, version, wrong in audited if version == champion))
