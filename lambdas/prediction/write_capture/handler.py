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
from lambdas.common.predictions import InvalidPrediction, StoredPrediction
from lambdas.prediction.write_capture.lines import CapturedPrediction, captured, is_sampled, objects


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

    By hand it reads the table: for dead letters whose cause has been removed, and for what the stream has lost after its day.
    """
    found = list(_from_table(event["prediction_ids"]) if "prediction_ids" in event else _from_stream(event["Records"]))
    sampled = [one for one in found if is_sampled(one.prediction_id, _environment().capture_percent)]
    usable = list(_captured(sampled))
    written = objects(usable, _environment().endpoint_name)
    for key, body in written.items():
        client("s3").put_object(Bucket=_environment().capture_bucket, Key=key, Body=body, ContentType="application/jsonlines")
    unusable = len(sampled) - len(usable)
    metrics.add_metric("PredictionsCaptured", MetricUnit.Count, len(usable))
    metrics.add_metric("PredictionsNotCapturable", MetricUnit.Count, unusable)
    told = {"captured": len(usable), "not_sampled": len(found) - len(sampled), "unusable": unusable, "objects": len(written)}
    logger.info("predictions captured", extra=told)
    return told


def _from_stream(records: list[dict[str, Any]]) -> Iterator[StoredPrediction | InvalidPrediction]:
    """New items only: a review that goes on changes its record, and that is no prediction."""
    read = TypeDeserializer()
    for record in records:
        if record.get("eventName") == "INSERT":
            item = {name: read.deserialize(value) for name, value in record["dynamodb"]["NewImage"].items()}
            try:
                yield StoredPrediction.parse(item)
            except InvalidPrediction as error:
                yield error  # one record that cannot be read keeps no other from being written


def _from_table(prediction_ids: list[str]) -> Iterator[StoredPrediction | InvalidPrediction]:
    store = prediction_store(_environment().predictions_table)
    for prediction_id in prediction_ids:
        try:
            yield store.get(prediction_id) or InvalidPrediction(prediction_id, "record", "is missing")
        except InvalidPrediction as error:
            yield error


def _captured(found: list[StoredPrediction | InvalidPrediction]) -> Iterator[CapturedPrediction]:
    for one in found:
        try:
            if isinstance(one, InvalidPrediction):
                raise one
            yield captured(one)
        except InvalidPrediction as error:
            extra = {"prediction_id": error.prediction_id, "error": str(error)}
            logger.error("no captured line can be made of a record", extra=extra)
            letter = json.dumps({"prediction_id": error.prediction_id, "reason": str(error)}, allow_nan=False)
            client("sqs").send_message(QueueUrl=_environment().dead_letters_url, MessageBody=letter)
