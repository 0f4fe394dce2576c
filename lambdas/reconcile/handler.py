"""Checks the invariant on a schedule: every prediction sent to review is in review, reviewed, or dead-lettered.

A request that never reached the queue (the answer to the caller came first) is sent again; a review past the
backend's time limit is counted, and the alarm on that count asks an operator to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.predictions import PredictionStore
from lambdas.common.review import ReviewState
from lambdas.reconcile.accounting import take_account


@dataclass(frozen=True)
class Environment:
    predictions_table: str
    review_queue_url: str
    resend_after_seconds: int
    overdue_after_seconds: int


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns the account: ``{"requested", "in_review", "dead_lettered", "resent", "overdue"}``."""
    environment, store, now = _environment(), _store(), datetime.now(UTC)
    account = take_account(
        store.open_reviews(ReviewState.REQUESTED),
        store.open_reviews(ReviewState.IN_REVIEW),
        store.open_reviews(ReviewState.DEAD_LETTERED),
        resend_before=(now - timedelta(seconds=environment.resend_after_seconds)).isoformat(),
        overdue_before=(now - timedelta(seconds=environment.overdue_after_seconds)).isoformat(),
    )
    for request in account.to_resend:
        client("sqs").send_message(QueueUrl=environment.review_queue_url, MessageBody=request.to_json())
        logger.warning("review request sent again", extra={"prediction_id": request.prediction_id})
    for name, value in (
        ("ReviewsRequested", account.requested),
        ("ReviewsOpen", account.in_review),
        ("ReviewsDeadLettered", account.dead_lettered),
        ("ReviewsResent", len(account.to_resend)),
        ("ReviewsOverdue", len(account.overdue)),
    ):
        metrics.add_metric(name, MetricUnit.Count, value)
    return {
        "requested": account.requested,
        "in_review": account.in_review,
        "dead_lettered": account.dead_lettered,
        "resent": len(account.to_resend),
        "overdue": len(account.overdue),
    }
