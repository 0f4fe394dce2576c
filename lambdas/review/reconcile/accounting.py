"""Which open reviews are late, and what to do with each: pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.common.predictions import request_of_item
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
    to_resend: list[ReviewRequest] = []
    unusable: list[str] = []
    for item in waiting:
        if item["created_at"] < resend_before:
            try:
                to_resend.append(request_of_item(item))
            except (KeyError, TypeError, ValueError) as error:
                unusable.append(f"{item['prediction_id']}: {type(error).__name__}: {error}")
    return Account(
        requested=len(waiting),
        in_review=len(asked),
        dead_lettered=len(dead),
        to_resend=tuple(to_resend),
        unusable=tuple(unusable),
        overdue=tuple(str(item["prediction_id"]) for item in asked if item.get("asked_at", item["created_at"]) < overdue_before),
    )
