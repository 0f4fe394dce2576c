"""A lead decides a review that ended without a label. Pure, over the same ports as :mod:`lambdas.review.collect_review.collect`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from contracts.labels import listed
from lambdas.common.ground_truth import ground_truth_key, ground_truth_line
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import shown


class CannotSettle(ValueError):
    """The review cannot get this label from a lead; the text says why."""


class Store(Protocol):
    """What is needed of :class:`lambdas.common.prediction_store.PredictionStore`."""

    def get(self, prediction_id: str) -> StoredPrediction | None: ...
    def settle(self, prediction_id: str, label: str, *, settled_by: str, settled_at: str) -> bool: ...


def settle(
    prediction_id: str,
    label: str,
    *,
    labels: Collection[str],
    settled_by: str,
    store: Store,
    write_ground_truth: Callable[[str, bytes], None],
    now: str,
) -> None:
    """Store the label that a lead decided on, with its ground-truth line.

    The line comes first. Its key is the time at which the review ended, so a retry writes the same object.

    Args:
        labels: ids that may be chosen.
        settled_by: pseudonym of the lead.
        write_ground_truth: takes key and body.
        now: ISO 8601 UTC.

    Raises:
        CannotSettle: there is no such label, no such prediction, or its review is not disputed.
    """
    if label not in labels:
        raise CannotSettle(f"label {shown(label)!r} is not one of {listed(labels)}")
    stored = store.get(prediction_id)
    if stored is None:
        raise CannotSettle(f"there is no prediction {shown(prediction_id)!r}")
    if stored.human_label is not None or stored.reviewed_at is None:
        state = "has a label" if stored.human_label is not None else f"is {stored.review_state.value}"
        raise CannotSettle(f"prediction {prediction_id} {state}: only a review that ended without a label can be settled")
    key = ground_truth_key(prediction_id, stored.reviewed_at)
    write_ground_truth(key, ground_truth_line(prediction_id, label))
    if not store.settle(prediction_id, label, settled_by=shown(settled_by), settled_at=now):
        now_stored = store.get(prediction_id)
        if now_stored is not None and now_stored.human_label is not None:
            write_ground_truth(key, ground_truth_line(prediction_id, now_stored.human_label))
        raise CannotSettle(f"prediction {prediction_id} was settled by somebody else in the meantime")
