"""Which open reviews are late, and what to do with each: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.common.review import ReviewReason, ReviewRequest


@dataclass(frozen=True)
class Account:
    """Open reviews by state, and what is overdue: requests to send again, reviews that should have ended."""

    requested: int
    in_review: int
    dead_lettered: int
    to_resend: tuple[ReviewRequest, ...]
    overdue: tuple[str, ...]


def take_account(
    requested: Iterable[Mapping[str, Any]],
    in_review: Iterable[Mapping[str, Any]],
    dead_lettered: Iterable[Mapping[str, Any]],
    *,
    resend_before: str,
    overdue_before: str,
) -> Account:
    """Count the open reviews.

    Args:
        requested, in_review, dead_lettered: items of the prediction table.
        resend_before: ISO 8601 UTC; a request made before and still not started was lost on its way to the queue.
        overdue_before: ISO 8601 UTC; a review asked before should have ended by the backend's own time limit. A review of before
            ``asked_at`` was recorded counts from its prediction.
    """
    waiting, asked, dead = list(requested), list(in_review), list(dead_lettered)
    return Account(
        requested=len(waiting),
        in_review=len(asked),
        dead_lettered=len(dead),
        to_resend=tuple(_request(item) for item in waiting if item["created_at"] < resend_before),
        overdue=tuple(str(item["prediction_id"]) for item in asked if item.get("asked_at", item["created_at"]) < overdue_before),
    )


def _request(item: Mapping[str, Any]) -> ReviewRequest:
    return ReviewRequest(
        prediction_id=item["prediction_id"],
        text=item["text"],
        predicted_label=item["label"],
        confidence=float(item["confidence"]),
        reason=ReviewReason(item["review_reason"]),
        attempt=int(item["attempt"]),
    )
