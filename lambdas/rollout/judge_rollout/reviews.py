"""Stored reviews of one variant's answers, each with its weight. Pure.

What people see of a variant is no sample of its traffic: every unsure answer, by the variant's own measure of unsure, and a random
share of the others. And the variants' traffic differs too: most of the challenger's comes at the last, largest share. Weighted, both
stand for the same texts, those that came while both served, in the mixture that the challenger met.
"""

from __future__ import annotations

from collections.abc import Iterable

from contracts.shared_words import CHAMPION
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewReason, ReviewState
from lambdas.rollout.judge_rollout.agreement import Reviews, Sample
from lambdas.rollout.progress import Progress


def reviews_of(
    variant: str,
    model_version: str,
    unanswered: Iterable[StoredPrediction],
    reviewed: Iterable[StoredPrediction],
    *,
    progress: Progress,
    audit_share: float,
) -> Reviews:
    """Reviews of the variant's answers since the experiment began.

    An answer that the review policy did not choose (an operator asked about it) has no ``review_reason`` and does not count. With an
    ``audit_share`` of 0 nobody sees a confident answer, so nothing can be said of the variant's traffic: the sample is empty.

    Args:
        unanswered, reviewed: records of any variant and time; the first read before the second, so that an
            answer that comes in between is in both, and not in neither.
        audit_share: share of the confident answers that is reviewed, 0..1.
    """
    found = {stored.prediction_id: stored for stored in (*unanswered, *reviewed)}
    mine = [
        stored
        for stored in found.values()
        if stored.variant == variant
        and stored.model_version == model_version
        and stored.review_reason
        and stored.created_at >= progress.started
    ]
    states = [stored.review_state for stored in mine]
    labelled = [stored for stored in mine if stored.human_label]
    return Reviews(
        labelled=len(labelled),
        agreed=sum(_agrees(stored) for stored in labelled),
        waiting=sum(state in (ReviewState.REQUESTED, ReviewState.IN_REVIEW) for state in states),
        undecided=states.count(ReviewState.REVIEWED) - len(labelled),
        dead_lettered=states.count(ReviewState.DEAD_LETTERED),
        sample=_sample(variant, labelled, progress, audit_share),
    )


def _sample(variant: str, labelled: list[StoredPrediction], progress: Progress, audit_share: float) -> Sample:
    served = [(stored, _traffic(variant, stored.created_at, progress)) for stored in labelled]
    counted = [(stored, traffic) for stored, traffic in served if traffic > 0]
    if not counted or audit_share <= 0:
        return Sample()
    probability = {ReviewReason.LOW_CONFIDENCE: 1.0, ReviewReason.AUDIT_SAMPLE: audit_share}
    return Sample.of(
        ((traffic / probability[ReviewReason(stored.review_reason or "")], _agrees(stored)) for stored, traffic in counted),
        heaviest=max(traffic for _, traffic in counted) / audit_share,
    )


def _traffic(variant: str, at: str, progress: Progress) -> float:
    """Answers of the challenger's traffic that one answer of ``variant`` at this time stands for; 0 when only one of them served."""
    live = next((change for change in reversed(progress.weights) if change.at <= at), None)
    if live is None or not live.champion or not live.challenger:
        return 0.0
    return live.challenger / live.champion if variant == CHAMPION else 1.0


def _agrees(stored: StoredPrediction) -> bool:
    return stored.human_label == stored.label
