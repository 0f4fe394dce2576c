"""Which open reviews are late, and what to do with each: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewRequest


@dataclass(frozen=True)
class Account:
    """Open reviews by state, and what is overdue: requests to send again, reviews that should have ended."""

    requested: int
    in_review: int
    dead_lettered: int
    to_resend: tuple[ReviewRequest, ...]
    overdue: tuple[str, ...]
    unusable: tuple[str, ...] = ()
    """Records that should be sent again and make no request, each as ``id: what is wrong``."""


def take_account(
    requested: Iterable[StoredPrediction],
    in_review: Iterable[StoredPrediction],
    dead_lettered: Iterable[StoredPrediction],
    *,
    resend_before: str,
    overdue_before: str,
) -> Account:
    """Count the open reviews.

    Args:
        requested, in_review, dead_lettered: records in that state.
        resend_before: ISO 8601 UTC; a request made before and still not started was lost on its way to the queue.
        overdue_before: ISO 8601 UTC; a review asked before should have ended by the backend's own time limit. A review of before
            ``asked_at`` was recorded counts from its prediction.
    """
    waiting, asked, dead = list(requested), list(in_review), list(dead_lettered)
    to_resend: list[ReviewRequest] = []
    unusable: list[str] = []
    for stored in waiting:
        if stored.created_at < resend_before:
            try:
                to_resend.append(stored.prediction().review_request())
            except ValueError as error:
                unusable.append(f"{stored.prediction_id}: {type(error).__name__}: {error}")
    return Account(
        requested=len(waiting),
        in_review=len(asked),
        dead_lettered=len(dead),
        to_resend=tuple(to_resend),
        unusable=tuple(unusable),
        overdue=tuple(stored.prediction_id for stored in asked if (stored.asked_at or stored.created_at) < overdue_before),
    )
