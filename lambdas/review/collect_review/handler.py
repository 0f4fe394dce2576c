"""Reads the queue ``review-results`` and stores what people answered (see :mod:`lambdas.review.collect_review.collect`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ClientError

from lambdas.common.agreement import Alpha
from lambdas.common.answers_wanted import ModelPrior
from lambdas.common.clients import client, prediction_store
from lambdas.common.consolidation import ByModelPrior, ByWorkerQuality, Consolidation, Plurality
from lambdas.common.current_labels import current_labels
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.predictions import InvalidPrediction
from lambdas.common.review import ReviewRequest
from lambdas.review.collect_review.collect import Collected, Outcome, Ports, collect
from lambdas.review.collect_review.workers import FEWEST_TEXTS, KnownWorkers, Store, Workers
from lambdas.review.port import InvalidMessage, ReviewEnded

MOST_MEASURED_CLASSES = 20
"""With more labels there is no metric for each of them: CloudWatch bills every label as a metric of its own. The log has all of them."""
FEWEST_OF_CLASS = 20
"""The least number of texts for which somebody chose the label. With fewer, one text changes the label's figure by several points."""
_METRIC = {
    Outcome.STORED: "LabelsStored",
    Outcome.UNDECIDED: "ReviewsUndecided",
    Outcome.FAILED: "ReviewsFailed",
    Outcome.DUPLICATE: "ReviewEventsDuplicate",
    Outcome.UNKNOWN: "ReviewsUnknown",
}


@dataclass(frozen=True)
class Environment:
    predictions_table: str
    dead_letter_queue_url: str
    capture_bucket: str
    dataset_parameter: str
    guidelines: str = ""
    """Version of the worker page."""
    labels: tuple[str, ...] = ()
    """Set where ``dataset.labels`` pins them."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _ports() -> Ports:
    """Raises NoLabels: nothing says which labels there are."""
    environment = _environment()
    store = prediction_store(environment.predictions_table, guidelines=environment.guidelines)
    labels = current_labels(environment.dataset_parameter, environment.labels).ids
    return Ports(
        store=store,
        consolidation_of=lambda ended: _consolidation(store, labels, ended.prior),
        write_ground_truth=_write_ground_truth,
        send_dead_letter=_send_dead_letter,
    )


def _consolidation(store: Store, labels: tuple[str, ...], prior: ModelPrior | None = None) -> Consolidation:
    """How to consolidate: with what the model said where the answers were asked for with it, by the workers' quality where enough is known
    about it, else by the votes alone.

    If the workers' history cannot be read, the votes decide, too, and the record says so (``label_basis``). No label is lost.
    """
    plurality = Plurality(labels)
    if prior is not None:
        return ByModelPrior(plurality, prior)
    try:
        quality = _workers.current(store, labels).quality
    except (ClientError, InvalidPrediction):
        logger.exception("what is known of the workers was not read: the votes alone decide")
        metrics.add_metric("WorkersUnknown", MetricUnit.Count, 1)
        return plurality
    return plurality if quality is None else ByWorkerQuality(plurality, quality)


def _told(workers: Workers) -> None:
    found = workers.agreement
    by_class = {label: one.value for label, one in workers.by_class.items()}
    if found.value is not None and found.texts >= FEWEST_TEXTS:
        metrics.add_metric("KrippendorffAlpha", MetricUnit.NoUnit, found.value)
        _tell_classes(workers.by_class)
    details = {
        "texts": found.texts,
        "alpha": found.value,
        "alpha_low": found.low,
        "alpha_high": found.high,
        "alpha_by_class": by_class,
        "quality_known": workers.quality is not None,
    }
    logger.info("workers read", extra=details)


def _tell_classes(by_class: Mapping[str, Alpha]) -> None:
    if len(by_class) > MOST_MEASURED_CLASSES:
        return
    for label, one in by_class.items():
        if one.value is not None and one.texts >= FEWEST_OF_CLASS:
            with single_metric("KrippendorffAlpha", MetricUnit.NoUnit, one.value) as metric:
                metric.add_dimension("service", logger.service)
                metric.add_dimension("label", label)


_workers = KnownWorkers(_told)


def _write_ground_truth(key: str, body: bytes) -> None:
    client("s3").put_object(Bucket=_environment().capture_bucket, Key=key, Body=body, ContentType="application/jsonlines")


def _send_dead_letter(request: ReviewRequest, reason: str) -> None:
    client("sqs").send_message(
        QueueUrl=_environment().dead_letter_queue_url,
        MessageBody=request.to_json(),
        MessageAttributes={"reason": {"DataType": "String", "StringValue": reason[:1_000]}},
    )


def _handle(record: SQSRecord) -> None:
    try:
        ended = ReviewEnded.from_json(record.body)
    except InvalidMessage as error:
        logger.error("message does not say how a review ended", extra={"message_id": record.message_id, "reason": str(error)})
        raise
    details = {"review_id": ended.review_id, "status": ended.status.value}
    try:
        collected = collect(ended, _ports(), now=datetime.now(UTC).isoformat())
    except Exception:
        logger.exception("review not collected", extra=details)
        raise
    _count(collected)
    logger.info("review collected", extra={**details, "outcome": collected.outcome.value, "reason": collected.reason})


def _count(collected: Collected) -> None:
    metrics.add_metric(_METRIC[collected.outcome], MetricUnit.Count, 1)
    if collected.agreement is not None:
        metrics.add_metric("HumanAgreement", MetricUnit.NoUnit, collected.agreement)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Returns ``{"batchItemFailures": [...]}``: the queue delivers these messages again, and deletes the others."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=_handle, processor=processor, context=context)
