"""Judge the challenger at the present weight, from CloudWatch's counts, its alarms, and what people said of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.predictions import PredictionStore
from lambdas.common.rollout import Progress
from lambdas.judge_rollout.policy import Evidence, Judge, Policy, VariantEvidence, judge
from lambdas.judge_rollout.progress import after

JUDGE: Judge = judge
_COUNTS = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors")
_PERIOD = 60


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

    @property
    def policy(self) -> Policy:
        steps = tuple(float(step) for step in self.weight_steps)
        return Policy(steps, self.min_invocations, self.max_error_rate, self.max_agreement_loss, self.max_holds)


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
    champion, challenger = (_of_variant(variant, versions[variant], progress) for variant in ("champion", "challenger"))
    evidence = Evidence(champion, challenger, _alarming())
    verdict = JUDGE(evidence, progress, policy)
    result = {**asdict(verdict), "evidence": asdict(evidence), "progress": after(verdict.decision, progress, policy).as_json()}
    logger.info("rollout judged", extra={"verdict": result})
    return result


def _of_variant(variant: str, model_version: str, progress: Progress) -> VariantEvidence:
    counts = dict(zip(_COUNTS, _sums(variant, progress.since), strict=True))
    reviewed = list(_store().reviewed_by_model(model_version, after=progress.started))
    decided = [item for item in reviewed if item.get("human_label") and item.get("variant") == variant]
    return VariantEvidence(
        invocations=round(counts["Invocations"]),
        failed=round(counts["Invocation4XXErrors"] + counts["Invocation5XXErrors"]),
        reviewed=len(decided),
        agreed=sum(item["human_label"] == item["label"] for item in decided),
    )


def _sums(variant: str, since: str) -> Iterator[float]:
    """Sum of each count since the step began; CloudWatch rounds the start down to the minute."""
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
            totals[result["Id"]] += sum(result["Values"])
    yield from totals.values()


def _alarming() -> tuple[str, ...]:
    names = list(_environment().challenger_alarms)
    found = client("cloudwatch").describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm"], StateValue="ALARM")["MetricAlarms"]
    return tuple(sorted(alarm["AlarmName"] for alarm in found))
