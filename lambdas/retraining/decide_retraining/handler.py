"""The schedule and the drift alarm ask here; a retraining starts when there are new labels enough."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError

from contracts.dataset import Manifest
from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.s3_uri import read_bytes
from lambdas.retraining.decide_retraining.decision import (
    Attempt,
    Decision,
    History,
    changed_labels,
    enough,
    number_of,
    one_at_a_time,
    start_once,
    trigger_reason,
)
from lambdas.retraining.new_labels import FROM_A_JOB, is_imported, labels_since

MOST_NAMED = 30
"""Unknown labels that are named at most."""


@dataclass(frozen=True)
class Environment:
    state_machine_arn: str
    predictions_table: str
    dataset_parameter: str
    min_new_labels: int
    lookback_days: int
    labels: tuple[str, ...] = ()
    """Set where ``dataset.labels`` pins them."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
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
    manifest = Manifest.parse(read_bytes(client("s3"), where), where)
    # Without pinned labels people choose from the version's own.
    changed, watermark = changed_labels(environment.labels or manifest.labels, manifest.labels, manifest.label_names), manifest.watermark
    metrics.add_metric("LabelSetChanged", MetricUnit.Count, 0 if changed is None else 1)
    if changed is not None:
        logger.error("the label set has changed", extra={"reason": changed.reason})
        return changed
    labels = labels_since(_store(), watermark, now=datetime.now(UTC), lookback_days=environment.lookback_days)
    counts: Counter[str] = Counter()
    imported = 0
    for stored in labels:
        if watermark is None or stored.given("reviewed_at", stored.reviewed_at) > watermark:
            label = stored.given("human_label", stored.human_label)
            counts[label] += 1
            imported += label in manifest.labels and is_imported(stored)
    count = sum(counts[label] for label in manifest.labels)
    if watermark is None:
        # A first version may be made of a labelling job, whose labels are in the table, too.
        count -= min(imported, manifest.by_source.get(FROM_A_JOB, 0))
    unknown = {label: number for label, number in counts.most_common(MOST_NAMED) if label not in manifest.labels}
    refusal = enough(count, environment.min_new_labels, watermark, unknown) or one_at_a_time(_running())
    if refusal is not None:
        return refusal
    reason = trigger_reason(event, count)
    detail = {"event_id": event.get("id"), "new_labels": count}
    return start_once(watermark, reason, _history(watermark), lambda name: _start(name, {"reason": reason, "detail": detail}))


def _history(watermark: str | None) -> History:
    """Executions over the same dataset, all of which started after its newest label was given."""
    machine, pages = _environment().state_machine_arn, client("stepfunctions").get_paginator("list_executions")
    failed = [
        (item["startDate"], item["name"])
        for status in ("FAILED", "TIMED_OUT", "ABORTED")
        for page in pages.paginate(stateMachineArn=machine, statusFilter=status)
        for item in page["executions"]
        if number_of(item["name"], watermark)
    ]
    last = _newest(pages.paginate(stateMachineArn=machine), watermark)
    if last is None:
        return History()
    running = last["name"] if last["status"] in ("RUNNING", "PENDING_REDRIVE") else None
    return History(number_of(last["name"], watermark), tuple(name for _, name in sorted(failed)), running)


def _newest(pages: Iterable[dict[str, Any]], watermark: str | None) -> dict[str, Any] | None:
    """The execution over this dataset that has the highest number: the first one, since the newest come first."""
    since = None if watermark is None else datetime.fromisoformat(watermark)
    for page in pages:
        for item in page["executions"]:
            if number_of(item["name"], watermark):
                return dict(item)
            if since is not None and item["startDate"] < since:
                return None
    return None


def _running() -> str | None:
    """The name of a retraining that is under way, whatever labels it is about."""
    found = client("stepfunctions").list_executions(stateMachineArn=_environment().state_machine_arn, statusFilter="RUNNING", maxResults=1)
    return found["executions"][0]["name"] if found["executions"] else None


def _start(name: str, content: dict[str, Any]) -> Attempt:
    machine = _environment().state_machine_arn
    try:
        client("stepfunctions").start_execution(stateMachineArn=machine, name=name, input=json.dumps(content, allow_nan=False))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
            raise
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        status = client("stepfunctions").describe_execution(executionArn=arn)["status"]
        return {"RUNNING": Attempt.RUNNING, "PENDING_REDRIVE": Attempt.RUNNING, "SUCCEEDED": Attempt.FINISHED}.get(status, Attempt.FAILED)
    return Attempt.STARTED
