"""``hosting.capture: app``: predictions from the table's stream as captured lines, batched into objects.

It runs beside the callers: whatever goes wrong here, they have their answers. A batch that cannot be written fails as a whole
and comes again; the same batch gives the same objects. A record that makes no line never will, so it goes to the dead letters
at once and the others are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from boto3.dynamodb.types import TypeDeserializer

from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.prediction.write_capture.lines import CapturedPrediction, UnusableRecord, captured, is_sampled, objects


@dataclass(frozen=True)
class Environment:
    capture_bucket: str
    endpoint_name: str
    capture_percent: int
    predictions_table: str
    dead_letters_url: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """A batch of the stream, or by hand ``{"prediction_ids": [...]}`` -> ``{"captured", "not_sampled", "unusable", "objects"}``.

    By hand it reads the table: for dead letters whose cause is mended, and for what the stream has lost after its day.
    """
    items = list(_from_table(event["prediction_ids"]) if "prediction_ids" in event else _from_stream(event["Records"]))
    sampled = [item for item in items if is_sampled(str(item.get("prediction_id")), _environment().capture_percent)]
    usable = list(_captured(sampled))
    written = objects(usable, _environment().endpoint_name)
    for key, body in written.items():
        client("s3").put_object(Bucket=_environment().capture_bucket, Key=key, Body=body, ContentType="application/jsonlines")
    unusable = len(sampled) - len(usable)
    metrics.add_metric("PredictionsCaptured", MetricUnit.Count, len(usable))
    metrics.add_metric("PredictionsNotCapturable", MetricUnit.Count, unusable)
    told = {"captured": len(usable), "not_sampled": len(items) - len(sampled), "unusable": unusable, "objects": len(written)}
    logger.info("predictions captured", extra=told)
    return told


def _from_stream(records: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """New items only: a review that goes on changes its record, and that is no prediction."""
    read = TypeDeserializer()
    for record in records:
        if record.get("eventName") == "INSERT":
            yield {name: read.deserialize(value) for name, value in record["dynamodb"]["NewImage"].items()}


def _from_table(prediction_ids: list[str]) -> Iterator[dict[str, Any]]:
    store = prediction_store(_environment().predictions_table)
    for prediction_id in prediction_ids:
        yield store.get(prediction_id) or {"prediction_id": prediction_id}


def _captured(items: list[dict[str, Any]]) -> Iterator[CapturedPrediction]:
    for item in items:
        try:
            yield captured(item)
        except UnusableRecord as error:
            prediction_id = str(item.get("prediction_id"))
            logger.error("no captured line can be made of a record", extra={"prediction_id": prediction_id, "error": str(error)})
            letter = json.dumps({"prediction_id": prediction_id, "reason": str(error)}, allow_nan=False)
            client("sqs").send_message(QueueUrl=_environment().dead_letters_url, MessageBody=letter)
