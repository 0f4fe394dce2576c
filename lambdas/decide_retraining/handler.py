"""The schedule and the drift alarm ask here; a retraining starts when there are new labels enough."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.clients import client, prediction_store
from lambdas.common.dataset import Manifest
from lambdas.common.environment import read_environment
from lambdas.common.new_labels import labels_since
from lambdas.common.observability import logger, tracer
from lambdas.common.predictions import PredictionStore
from lambdas.common.s3_uri import read_bytes
from lambdas.decide_retraining.decision import Attempt, Decision, enough, one_at_a_time, start_once, trigger_reason


@dataclass(frozen=True)
class Environment:
    state_machine_arn: str
    predictions_table: str
    dataset_parameter: str
    min_new_labels: int
    lookback_days: int


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Any event -> ``{"started", "reason", "execution"}``."""
    decision = _decide(event)
    logger.info("retraining decided", extra={"decision": asdict(decision)})
    return asdict(decision)


def _decide(event: dict[str, Any]) -> Decision:
    environment = _environment()
    uri = client("ssm").get_parameter(Name=environment.dataset_parameter)["Parameter"]["Value"].rstrip("/")
    if uri == "none":
        return Decision(False, "there is no dataset yet")
    where = f"{uri}/manifest.json"
    watermark = Manifest.parse(read_bytes(client("s3"), where), where).watermark
    labels = labels_since(_store(), watermark, now=datetime.now(UTC), lookback_days=environment.lookback_days)
    count = sum(watermark is None or item["reviewed_at"] > watermark for item in labels)
    refusal = enough(count, environment.min_new_labels, watermark) or one_at_a_time(_running())
    if refusal is not None:
        return refusal
    reason = trigger_reason(event, count)
    detail = {"event_id": event.get("id"), "new_labels": count}
    return start_once(watermark, reason, lambda name: _start(name, {"reason": reason, "detail": detail}))


def _running() -> str | None:
    """The name of a retraining that is under way, whatever labels it is about."""
    found = client("stepfunctions").list_executions(stateMachineArn=_environment().state_machine_arn, statusFilter="RUNNING", maxResults=1)
    return found["executions"][0]["name"] if found["executions"] else None


def _start(name: str, content: dict[str, Any]) -> Attempt:
    machine = _environment().state_machine_arn
    try:
        client("stepfunctions").start_execution(stateMachineArn=machine, name=name, input=json.dumps(content))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        status = client("stepfunctions").describe_execution(executionArn=arn)["status"]
        return {"RUNNING": Attempt.RUNNING, "PENDING_REDRIVE": Attempt.RUNNING, "SUCCEEDED": Attempt.FINISHED}.get(status, Attempt.FAILED)
    return Attempt.STARTED
