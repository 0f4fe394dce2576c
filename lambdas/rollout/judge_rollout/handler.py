"""Judge the challenger at the present weight, from CloudWatch's counts, its alarms, and what people said of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewState
from lambdas.rollout.judge_rollout.policy import Evidence, Judge, Policy, VariantEvidence, WithoutReviews, judge
from lambdas.rollout.judge_rollout.progress import after
from lambdas.rollout.judge_rollout.reviews import reviews_of
from lambdas.rollout.progress import Progress

JUDGE: Judge = judge
_COUNTS = ("Invocations", "InvocationModelErrors")
"""The second holds the model's 4xx and 5xx, and what has no status code: time-outs and crashes (SageMaker developer guide)."""
_PERIOD = 60
_READ = ("Complete", "PartialData")
"""``PartialData``: the rest is on the next page (CloudWatch API reference, MetricDataResult)."""
_UNANSWERED = (ReviewState.REQUESTED, ReviewState.IN_REVIEW, ReviewState.DEAD_LETTERED)


class MetricsUnreadable(RuntimeError):
    """No verdict without metrics: the state machine tries again."""


@dataclass(frozen=True)
class Environment:
    endpoint_name: str
    predictions_table: str
    challenger_alarms: tuple[str, ...]
    weight_steps: tuple[str, ...]
    min_invocations: int
    max_error_rate: float
    max_agreement_loss: float
    max_holds: int
    min_reviewed: int
    without_reviews: str
    audit_share: float

    @property
    def policy(self) -> Policy:
        return Policy(
            weight_steps=tuple(float(step) for step in self.weight_steps),
            min_invocations=self.min_invocations,
            max_error_rate=self.max_error_rate,
            max_agreement_loss=self.max_agreement_loss,
            max_holds=self.max_holds,
            min_reviewed=self.min_reviewed,
            without_reviews=WithoutReviews(self.without_reviews),
        )


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"progress", "model_versions": {"champion", "challenger"}}`` -> ``{"decision", "reason", "evidence", "progress"}``."""
    progress, policy = Progress.parse(event["progress"]), _environment().policy
    versions = event["model_versions"]
    unanswered = [stored for state in _UNANSWERED for stored in _store().open_reviews(state, since=progress.started)]
    champion, challenger = (_of_variant(variant, versions[variant], unanswered, progress) for variant in ("champion", "challenger"))
    evidence = Evidence(champion, challenger, _alarming())
    verdict = JUDGE(evidence, progress, policy)
    result = {**asdict(verdict), "evidence": asdict(evidence), "progress": after(verdict.decision, progress, policy).as_json()}
    logger.info("rollout judged", extra={"verdict": result})
    return result


def _of_variant(variant: str, model_version: str, unanswered: Sequence[StoredPrediction], progress: Progress) -> VariantEvidence:
    counts = dict(zip(_COUNTS, _sums(variant, progress.since), strict=True))
    reviewed = _store().reviewed_by_model(model_version, after=progress.started)
    reviews = reviews_of(variant, model_version, unanswered, reviewed, progress=progress, audit_share=_environment().audit_share)
    return VariantEvidence.counted(counts["Invocations"], counts["InvocationModelErrors"], reviews)


def _sums(variant: str, since: str) -> Iterator[float]:
    """Sum of each count since the step began; CloudWatch rounds the start down to the minute.

    Raises:
        MetricsUnreadable: CloudWatch could not read a metric, which is not the same as a metric without data.
    """
    dimensions = [{"Name": "EndpointName", "Value": _environment().endpoint_name}, {"Name": "VariantName", "Value": variant}]
    queries = [
        {
            "Id": f"m{index}",
            "MetricStat": {
                "Metric": {"Namespace": "AWS/SageMaker", "MetricName": name, "Dimensions": dimensions},
                "Period": _PERIOD,
                "Stat": "Sum",
            },
        }
        for index, name in enumerate(_COUNTS)
    ]
    totals = dict.fromkeys((query["Id"] for query in queries), 0.0)
    pages = (
        client("cloudwatch")
        .get_paginator("get_metric_data")
        .paginate(MetricDataQueries=queries, StartTime=datetime.fromisoformat(since), EndTime=datetime.now(UTC))
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            if result["StatusCode"] not in _READ:
                told = "; ".join(f"{message['Code']}: {message['Value']}" for message in result.get("Messages", []))
                raise MetricsUnreadable(
                    f"GetMetricData of {result.get('Label', result['Id'])} is {result['StatusCode']}: {told or 'no reason'}"
                )
            totals[result["Id"]] += sum(result["Values"])
    yield from totals.values()


def _alarming() -> tuple[str, ...]:
    names = list(_environment().challenger_alarms)
    found = client("cloudwatch").describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm"], StateValue="ALARM")["MetricAlarms"]
    return tuple(sorted(alarm["AlarmName"] for alarm in found))
