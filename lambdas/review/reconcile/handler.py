"""The scheduled reconciliation: every prediction that people should look at is in review, reviewed, or dead-lettered.

A request may be lost on its way to the queue, because the caller's answer does not wait for it. Such a request is sent again. A review
that is past the backend's time limit is counted, and the alarm on that count asks an operator to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError

from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.review import ReviewRequest, ReviewState
from lambdas.review.reconcile.reconciliation import reconcile, waited_seconds


@dataclass(frozen=True)
class Environment:
    predictions_table: str
    review_queue_url: str
    resend_after_seconds: int
    overdue_after_seconds: int


@cache
def _environment() -> Environment:
    return read_environment(Environment)


class NotSentAgain(RuntimeError):
    """Requests are still not in the queue; the next run tries again."""


def _sent(request: ReviewRequest) -> bool:
    details = {"prediction_id": request.prediction_id}
    try:
        client("sqs").send_message(QueueUrl=_environment().review_queue_url, MessageBody=request.to_json())
    except ClientError:
        logger.exception("review request not sent again", extra=details)
        return False
    logger.warning("review request sent again", extra=details)
    return True


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns counts: ``{"requested", "in_review", "dead_lettered", "resent", "overdue", "unusable"}``, and ``oldest_seconds``, for which
    the oldest open review waits.

    Raises:
        NotSentAgain: at least one request could not be queued. Every other request was tried before.
    """
    environment, store, now = _environment(), _store(), datetime.now(UTC)
    found = reconcile(
        store.open_reviews(ReviewState.REQUESTED),
        store.open_reviews(ReviewState.IN_REVIEW),
        store.open_reviews(ReviewState.DEAD_LETTERED),
        resend_before=(now - timedelta(seconds=environment.resend_after_seconds)).isoformat(),
        overdue_before=(now - timedelta(seconds=environment.overdue_after_seconds)).isoformat(),
    )
    for problem in found.unusable:
        logger.error("this record cannot become a review request: correct or delete it", extra={"record": problem})
    failed = [request.prediction_id for request in found.to_resend if not _sent(request)]
    for name, value in (
        ("ReviewsRequested", found.requested),
        ("ReviewsOpen", found.in_review),
        ("ReviewsDeadLettered", found.dead_lettered),
        ("ReviewsResent", len(found.to_resend) - len(failed)),
        ("ReviewRecordsUnusable", len(found.unusable)),
        ("ReviewsOverdue", len(found.overdue)),
    ):
        metrics.add_metric(name, MetricUnit.Count, value)
    waits = waited_seconds(found.oldest, now)
    metrics.add_metric("OldestReviewSeconds", MetricUnit.Seconds, waits)
    if failed:
        raise NotSentAgain(f"{len(failed)} of {len(found.to_resend)} requests could not be queued, first {failed[0]}: see the log")
    return {
        "requested": found.requested,
        "in_review": found.in_review,
        "dead_lettered": found.dead_lettered,
        "resent": len(found.to_resend),
        "overdue": len(found.overdue),
        "unusable": len(found.unusable),
        "oldest_seconds": waits,
    }
