"""Reads A2I's events from the queue ``a2i-ended`` and sends each as a ``ReviewEnded`` to ``review-results`` (see :mod:`.event`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from contracts.text import InvalidJson, parse_json
from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.s3_uri import split_uri
from lambdas.review.a2i_ended.event import HumanLoopEnded, InvalidEvent, review_ended
from lambdas.review.output import OutputMissing, UnreadableOutput


@dataclass(frozen=True)
class Environment:
    review_results_url: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _read_output(uri: str) -> Any:
    s3 = client("s3")
    try:
        bucket, key = split_uri(uri)
        return parse_json(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except s3.exceptions.NoSuchKey:
        raise OutputMissing(f"{uri} is not there yet") from None
    except ValueError as error:
        raise UnreadableOutput(str(error)) from None


def _handle(record: SQSRecord) -> None:
    try:
        loop = HumanLoopEnded.of_event(parse_json(record.body))
        ended = review_ended(loop, _read_output)
        client("sqs").send_message(QueueUrl=_environment().review_results_url, MessageBody=ended.to_json())
    except (InvalidJson, InvalidEvent) as error:
        logger.error("message is no A2I event", extra={"message_id": record.message_id, "reason": str(error)})
        raise
    except Exception:
        logger.exception("review's end not handed on", extra={"message_id": record.message_id})
        raise
    metrics.add_metric("ReviewsEnded", MetricUnit.Count, 1)
    logger.info("review's end handed on", extra={"review_id": ended.review_id, "status": ended.status.value})


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> Any:
    """Returns ``{"batchItemFailures": [...]}``: the queue delivers these messages again, and deletes the others."""
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=_handle, processor=processor, context=context)
