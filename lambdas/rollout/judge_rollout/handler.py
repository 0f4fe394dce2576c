"""Judge the challenger at one look: from the pairs and people's labels, CloudWatch, its alarms, and what people told the rollout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.common.clients import client, dynamodb_table
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.observability import metrics as published_metrics
from lambdas.common.pairs import PairStore
from lambdas.common.rollout_control import RolloutControl
from lambdas.rollout.judge_rollout import metrics
from lambdas.rollout.judge_rollout.guardrails import Operation
from lambdas.rollout.judge_rollout.pairs_read import PairsRead
from lambdas.rollout.judge_rollout.policy import AtEnd, Evidence, Judge, Policy, evidence_as_json, judge
from lambdas.rollout.judge_rollout.progress import after
from lambdas.rollout.judge_rollout.published import figures
from lambdas.rollout.progress import Progress, RolloutPolicy

JUDGE: Judge = judge


@dataclass(frozen=True)
class Environment:
    endpoint_name: str
    predictions_table: str
    pairs_table: str
    control_parameter: str
    champion_alarms: tuple[str, ...]
    challenger_alarms: tuple[str, ...]
    weight_steps: tuple[str, ...]
    margin: float
    error: float
    at_end: str
    max_holds: int
    min_invocations: int
    max_error_rate: float
    max_latency_ratio: float
    max_confidence_loss: float

    @property
    def policy(self) -> Policy:
        return Policy(
            weight_steps=tuple(float(step) for step in self.weight_steps),
            margin=self.margin,
            error=self.error,
            at_end=AtEnd(self.at_end),
            max_holds=self.max_holds,
            min_invocations=self.min_invocations,
            max_error_rate=self.max_error_rate,
            max_latency_ratio=self.max_latency_ratio,
            max_confidence_loss=self.max_confidence_loss,
        )


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@cache
def _store() -> PairStore:
    return PairStore(dynamodb_table(_environment().pairs_table), dynamodb_table(_environment().predictions_table))


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@published_metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"rollout", "progress"}`` -> ``{"decision", "reason", "take_back", "evidence", "progress"}``.

    ``rollout`` is the execution's name.
    """
    progress, policy, now = Progress.parse(event["progress"]), _environment().policy, datetime.now(UTC)
    evidence = _evidence(str(event["rollout"]), progress, now)
    verdict = JUDGE(evidence, progress, policy, now)
    result: dict[str, Any] = {
        "decision": verdict.decision.value,
        "reason": verdict.reason,
        "take_back": verdict.take_back.value,
        "evidence": evidence_as_json(evidence, verdict, progress, policy),
        "progress": after(verdict.decision, progress, policy).as_json(),
    }
    for name, value in figures(result["evidence"], progress.weights[-1].challenger if progress.weights else 0.0):
        published_metrics.add_metric(name, MetricUnit.NoUnit, value)
    logger.info("rollout judged", extra={"verdict": result})
    return result


def _evidence(rollout: str, progress: Progress, now: datetime) -> Evidence:
    environment, cloudwatch = _environment(), client("cloudwatch")
    record = client("ssm").get_parameter(Name=environment.control_parameter)["Parameter"]["Value"]
    told = RolloutControl.of(rollout, record)
    if progress.policy is RolloutPolicy.BLUE_GREEN and not progress.weights:
        # A person is asked before the switch: what the old champion does, such as fail, is no reason against the new one.
        pairs, operation = PairsRead(), Operation()
    elif progress.policy is RolloutPolicy.BLUE_GREEN:
        pairs = PairsRead()
        operation = metrics.watch(cloudwatch, environment.endpoint_name, progress.since, now, environment.champion_alarms)
    else:
        pairs = PairsRead.of(_store().read(rollout))
        operation = metrics.compare(cloudwatch, environment.endpoint_name, progress.since, now, environment.challenger_alarms)
    # A paused rollout is not promoted, so one name says all that a reason tells.
    return Evidence(pairs, operation, told.paused, told.approved, told.pauser if told.paused else told.approver)
