"""Reads the queue ``review-requests`` and asks people (see :mod:`lambdas.review.start_review.start`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from lambdas.common.clients import client, prediction_store
from lambdas.common.current_labels import current_labels
from lambdas.common.environment import read_environment
from lambdas.common.labels import Labels
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.review import InvalidRequest, ReviewRequest, shown
from lambdas.review import a2i, hosted
from lambdas.review.port import ReviewStarter
from lambdas.review.start_review.start import Outcome, give_up, start

_METRIC = {
    Outcome.STARTED: "ReviewsStarted",
    Outcome.DROPPED: "ReviewRequestsDropped",
    Outcome.WAITS: "ReviewsParked",
    Outcome.REFUSED: "ReviewsRefused",
}

STARTERS: Mapping[str, Callable[[str, Labels], ReviewStarter]] = {"a2i": a2i.starter, "hosted": hosted.starter}
"""Backend -> its starter, made of the target and of the labels that people choose from."""


@dataclass(frozen=True)
class Environment:
    predictions_table: str
    dead_letter_queue_url: str
    review_backend: str
    """A key of :data:`STARTERS`."""
    review_target: str
    """What the backend is asked through; each backend has its own kind."""
    max_receives: int
    dataset_parameter: str
    daily_budget: int = 0
    """``review.daily_budget``; 0: there is none."""
    labels: tuple[str, ...] = ()
    """Set where ``dataset.labels`` pins them."""
    cannot_tell: bool = False
    """Whether people may answer that they cannot tell which label is right."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table)


def _starter() -> ReviewStarter:
    """Raises NoLabels: there are no labels yet, so nobody can be asked. The queue delivers the message again."""
    environment = _environment()
    labels = current_labels(environment.dataset_parameter, environment.labels).offering(environment.cannot_tell)
    return STARTERS[environment.review_backend](environment.review_target, labels)


def _send_dead_letter(request: ReviewRequest, reason: str) -> None:
    client("sqs").send_message(
        QueueUrl=_environment().dead_letter_queue_url,
        MessageBody=request.to_json(),
        MessageAttributes={"reason": {"DataType": "String", "StringValue": reason[:1_000]}},
    )


def _set_aside(record: SQSRecord, reason: str) -> None:
    """A message that is no review request never will be one: among the dead letters somebody sees it now, not after five tries."""
    client("sqs").send_message(
        QueueUrl=_environment().dead_letter_queue_url,
        MessageBody=record.body,
        MessageAttributes={"reason": {"DataType": "String", "StringValue": reason[:1_000]}},
    )
    metrics.add_metric("ReviewRequestsInvalid", MetricUnit.Count, 1)
    logger.error("message is no review request: it lies among the dead letters", extra={"message_id": record.message_id, "reason": reason})


def _handle(record: SQSRecord) -> None:
    try:
        request = ReviewRequest.from_json(record.body)
    except InvalidRequest as error:
        _set_aside(record, shown(str(error), longest=1_000))
        return
    details = {"prediction_id": request.prediction_id, "attempt": request.attempt}
    try:
        outcome, reason = start(
            request,
            store=_store(),
            starter=_starter(),
            send_dead_letter=_send_dead_letter,
            now=datetime.now(UTC).isoformat(),
            budgeted=bool(_environment().daily_budget),
        )
    except Exception as error:
        logger.exception("review not started", extra=details)
        if int(record.attributes.approximate_receive_count or 1) >= _environment().max_receives:
            give_up(request, f"not started after {_environment().max_receives} tries: {type(error).__name__}: {error}", _store())
        raise
    metrics.add_metric(_METRIC[outcome], MetricUnit.Count, 1)
    logger.info("review request handled", extra={**details, "outcome": outcome.value, "reason": reason})


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Returns ``{"batchItemFailures": [...]}``: the queue delivers these messages again, and deletes the others."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=_handle, processor=processor, context=context)
