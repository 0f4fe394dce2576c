"""Last step of the ``labeling`` state machine: output manifest -> labels (see :mod:`lambdas.labeling.import_labels.importing`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.common.clients import client, prediction_store
from lambdas.common.current_labels import current_labels
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.s3_uri import read_lines
from lambdas.labeling.import_labels.importing import LabelImport
from lambdas.labeling.import_labels.manifest import read_rows


@dataclass(frozen=True)
class Environment:
    predictions_table: str
    capture_bucket: str
    retention_days: int
    dataset_parameter: str
    guidelines: str = ""
    """Version of the worker page."""
    labels: tuple[str, ...] = ()
    """Set where ``dataset.labels`` pins them."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table, guidelines=_environment().guidelines)


def _write_ground_truth(key: str, body: bytes) -> None:
    client("s3").put_object(Bucket=_environment().capture_bucket, Key=key, Body=body, ContentType="application/jsonlines")


def _lines(event: dict[str, Any]) -> Iterable[bytes]:
    """Lines of the job's output; none when a job that did not complete left none behind."""
    s3 = client("s3")
    try:
        return read_lines(s3, event["manifest_uri"])
    except s3.exceptions.NoSuchKey:
        if event.get("completed", True):
            raise
        logger.warning("the job left no output behind", extra={"job_name": event["job_name"], "manifest_uri": event["manifest_uri"]})
        return ()


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"job_name", "manifest_uri", "attribute", "completed"?: true, "service"?: "ground-truth"}`` ->
    ``{"labels_stored", "undecided", "already_labeled", "failed", "unusable", "problems": [{"line", "reason"}]}``, the job's counts.
    """
    environment = _environment()
    importing = LabelImport(
        store=_store(),
        write_ground_truth=_write_ground_truth,
        source=f"{event.get('service', 'ground-truth')}:{event['job_name']}",
        retention=timedelta(days=environment.retention_days),
        clock=lambda: datetime.now(UTC),
    )
    labels = current_labels(environment.dataset_parameter, environment.labels)
    try:
        count = importing.run(read_rows(_lines(event), event["attribute"], labels))
    finally:  # a call that fails half-way is tried again, and counts the rest then
        metrics.add_metric("LabelsImported", MetricUnit.Count, importing.written)
    metrics.add_metric("LabelRowsWithoutLabel", MetricUnit.Count, count.failed + count.unusable)
    for problem in count.problems:
        logger.warning("row gave no label", extra={"job_name": event["job_name"], **problem})
    logger.info("labels imported", extra={"job_name": event["job_name"], **asdict(count)})
    return asdict(count)
