"""On a schedule: the last window of captured predictions against the champion's baseline, as three metrics and a score."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.release import Release
from lambdas.monitoring.detect_drift.statistics import DriftReport, LabelCounts, assess

QUERY = (Path(__file__).parent / "recent_predictions.sql").read_text(encoding="utf-8")
LOOKBACK_STEPS = (2, 24)
"""Hours that are looked at before all of them are."""
_METRIC_NAMES = {"oov_rate": "OovRate", "mean_confidence": "MeanConfidence", "class_divergence": "PredictedClassDivergence"}


class QueryFailed(RuntimeError):
    """Athena did not finish the query; the text has its reason."""


@dataclass(frozen=True)
class Environment:
    release_parameter: str
    database: str
    workgroup: str
    lookback_hours: int
    query_timeout_seconds: int = 120


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _champion_evaluation(release: Release) -> dict[str, Any]:
    """The evaluation.json that the champion's model package points at."""
    package = client("sagemaker").describe_model_package(ModelPackageName=release.champion)
    uri = urlsplit(package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"])
    body = client("s3").get_object(Bucket=uri.netloc, Key=uri.path.lstrip("/"))["Body"].read()
    evaluation: dict[str, Any] = json.loads(body)
    return evaluation


@dataclass(frozen=True)
class Recent:
    """The newest predictions by label, and how many answers of the hours looked at could not be used."""

    rows: tuple[LabelCounts, ...]
    left_out: int

    @property
    def predictions(self) -> int:
        return sum(row.predictions for row in self.rows)


def _recent_predictions(window: int, now: datetime, model_version: str) -> Recent:
    """The newest ``window`` predictions. The last hours are read first: Athena bills what it scans, and they may hold a window."""
    deadline = time.monotonic() + _environment().query_timeout_seconds
    recent = Recent((), 0)
    for hours in sorted({min(step, _environment().lookback_hours) for step in LOOKBACK_STEPS} | {_environment().lookback_hours}):
        recent = _read(_run(QUERY.format(window=int(window)), now - timedelta(hours=hours), model_version, deadline))
        if recent.predictions >= window:
            break
    return recent


def _run(query: str, since: datetime, model_version: str, deadline: float) -> list[list[str]]:
    """The result's cells, null as an empty text. Raises QueryFailed."""
    athena, environment = client("athena"), _environment()
    query_id = athena.start_query_execution(
        QueryString=query,
        QueryExecutionContext={"Database": environment.database},
        WorkGroup=environment.workgroup,
        ExecutionParameters=[f"'{since:%Y/%m/%d/%H}'", f"'{model_version}'"],
    )["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
        if status["State"] == "SUCCEEDED":
            break
        if status["State"] in ("FAILED", "CANCELLED"):
            raise QueryFailed(f"query {query_id} {status['State']}: {status.get('StateChangeReason', 'no reason given')}")
        if time.monotonic() > deadline:
            athena.stop_query_execution(QueryExecutionId=query_id)
            raise QueryFailed(f"queries took longer than {environment.query_timeout_seconds} s; query {query_id} was stopped")
        time.sleep(0.5)
    rows = athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"][1:]
    return [[cell.get("VarCharValue", "") for cell in row["Data"]] for row in rows]


def _read(cells: list[list[str]]) -> Recent:
    """The row without a label counts what was left out."""
    counted = tuple(LabelCounts(c[0], int(c[1]), float(c[2]), int(float(c[3])), int(float(c[4]))) for c in cells if c[0])
    return Recent(counted, sum(int(c[1]) for c in cells if not c[0]))


def _publish(report: DriftReport, left_out: int) -> None:
    metrics.add_metric("CapturedAnswersLeftOut", MetricUnit.Count, left_out)
    metrics.add_metric("DriftWindowFilled", MetricUnit.Percent, 100 * report.filled)
    for name, value in report.values.items():
        metrics.add_metric(_METRIC_NAMES[name], MetricUnit.NoUnit, value)
        metrics.add_metric(f"{_METRIC_NAMES[name]}Score", MetricUnit.NoUnit, report.scores[name])
    if report.score is not None:
        metrics.add_metric("DriftScore", MetricUnit.NoUnit, report.score)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns ``{"status": "no_release" | "window_not_full" | "assessed", "predictions", "left_out", "values", "scores", "score",
    "unusable"}``. ``unusable`` has the reason for each statistic that cannot be used.
    """
    record = client("ssm").get_parameter(Name=_environment().release_parameter)["Parameter"]["Value"]
    release = Release.parse(record)
    if not release.exists:
        logger.info("nothing is released yet: no drift to measure")
        return {"status": "no_release"}
    evaluation = _champion_evaluation(release)
    baseline = evaluation["drift_baseline"]
    recent = _recent_predictions(int(baseline["window"]), datetime.now(UTC), evaluation["model_version"])
    report = assess(recent.rows, baseline)
    _publish(report, recent.left_out)
    if recent.left_out:
        logger.warning("captured answers could not be used: drift left them out", extra={"left_out": recent.left_out})
    unusable = dict(report.unusable)
    if unusable:
        logger.warning("statistics cannot be used: the drift check left them out", extra={"unusable": unusable})
    logger.info("drift assessed", extra={"predictions": report.predictions, "values": report.values, "scores": report.scores})
    return {
        "status": "assessed" if report.score is not None else "window_not_full",
        "model_version": evaluation["model_version"],
        "predictions": report.predictions,
        "left_out": recent.left_out,
        "values": dict(report.values),
        "scores": dict(report.scores),
        "score": report.score,
        "unusable": unusable,
    }
