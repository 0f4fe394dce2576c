"""Which open reviews are late, and what to do with each: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewRequest


@dataclass(frozen=True)
class Reconciliation:
    """How many reviews are open, by state, and which of them need something done.

    Attributes:
        to_resend: requests that were lost on their way to the queue.
        overdue: prediction ids of reviews that should have ended.
        unusable: records that should be sent again and from which no request can be made, each as ``id: what is wrong``.
        oldest: ISO 8601 UTC, since when the oldest of the reviews waits that people are or will be asked about; None without any.
    """

    requested: int
    in_review: int
    dead_lettered: int
    to_resend: tuple[ReviewRequest, ...]
    overdue: tuple[str, ...]
    unusable: tuple[str, ...] = ()
    oldest: str | None = None


def reconcile(
    requested: Iterable[StoredPrediction],
    in_review: Iterable[StoredPrediction],
    dead_lettered: Iterable[StoredPrediction],
    *,
    resend_before: str,
    overdue_before: str,
) -> Reconciliation:
    """Count the open reviews, and find those that are late.

    Args:
        requested, in_review, dead_lettered: records in that state.
        resend_before: ISO 8601 UTC. A request that was made before this time and has not started was lost on its way to the queue.
        overdue_before: ISO 8601 UTC. A review that started before this time should have ended, by the backend's own time limit. Old
            records have no ``asked_at``; their time is that of the prediction.
    """
    waiting, asked, dead = list(requested), list(in_review), list(dead_lettered)
    to_resend: list[ReviewRequest] = []
    unusable: list[str] = []
    for stored in waiting:
        if (stored.chosen_at or stored.created_at) < resend_before:
            try:
                to_resend.append(stored.prediction().review_request())
            except ValueError as error:
                unusable.append(f"{stored.prediction_id}: {type(error).__name__}: {error}")
    return Reconciliation(
        requested=len(waiting),
        in_review=len(asked),
        dead_lettered=len(dead),
        to_resend=tuple(to_resend),
        unusable=tuple(unusable),
        overdue=tuple(stored.prediction_id for stored in asked if _since(stored) < overdue_before),
        oldest=min(map(_since, (*waiting, *asked)), default=None),
    )


def waited_seconds(since: str | None, now: datetime) -> int:
    """Whole seconds from ``since`` to ``now``. 0 for None, for what lies ahead, and for a text of a record that is no time."""
    try:
        begun = now if since is None else datetime.fromisoformat(since)
    except ValueError:
        return 0
    return max(0, int((now - (begun if begun.tzinfo else begun.replace(tzinfo=UTC))).total_seconds()))


def _since(stored: StoredPrediction) -> str:
    return stored.asked_at or stored.chosen_at or stored.created_at
