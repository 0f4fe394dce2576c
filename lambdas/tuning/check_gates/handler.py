"""Checks the report of one evaluation against the gates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.s3_uri import read_json, split_uri
from lambdas.tuning.best_so_far import compared_with_best
from lambdas.tuning.check_gates.gates import GatePolicy, check_gates, notes, refusal, refusals
from lambdas.tuning.check_gates.result import GateResult
from lambdas.tuning.evaluation import Evaluation


@dataclass(frozen=True)
class Environment(GatePolicy):
    """The gate policy is the whole environment."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One candidate, with ``evaluation_error`` when its evaluation failed -> what registration needs: figures, ``passed``, ``refusals``;
    ``notes`` says what could not be judged.

    Every gate with its value and limit is in ``gates_uri``: with many slices they would not fit into the state machine's payload.
    """
    candidate = {key: event[key] for key in ("training_job", "objective", "model_uri")}
    if "evaluation_error" in event:
        gates, figures = [refusal(failure_reason(event["evaluation_error"]))], dict[str, Any]()
    else:
        gates, figures = _judge(f"{event['output_uri']}/evaluation.json", event.get("best_package"))
    passed, gates_uri = all(gate.passed for gate in gates), f"{event['output_uri']}/gates.json"
    listed = [asdict(gate) | {"passed": gate.passed, "reason": gate.reason} for gate in gates]
    _store(gates_uri, {"passed": passed, "notes": [gate.reason for gate in gates if gate.unjudged], "gates": listed})
    result = {**candidate, **figures, "passed": passed, "gates_uri": gates_uri, "refusals": refusals(gates), "notes": notes(gates)}
    logger.info("gates checked", extra={"candidate": result})
    return result


def _judge(evaluation_uri: str, best_package: str | None) -> tuple[list[GateResult], dict[str, Any]]:
    evaluation = Evaluation.parse(read_json(client("s3"), evaluation_uri))
    difference = evaluation.difference_to_best
    figures = {
        "evaluation_uri": evaluation_uri,
        "dataset_version": evaluation.dataset_version,
        "accuracy": evaluation.overall.accuracy.value,
        "macro_f1": evaluation.overall.macro_f1.value,
        "review": evaluation.review.metadata() if evaluation.review else {},
        "best": compared_with_best(best_package, difference.macro_f1.value if difference else None),
    }
    return check_gates(evaluation, _environment()), figures


def _store(uri: str, content: dict[str, Any]) -> None:
    bucket, key = split_uri(uri)
    body = json.dumps(content, indent=1, allow_nan=False).encode()
    client("s3").put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")


def failure_reason(error: Mapping[str, str]) -> str:
    """What a failed ``.sync`` job says of itself: the container's exit message, else its FailureReason, else the whole cause.

    A processing job's FailureReason often has an exit code only; what the container wrote to ``/opt/ml/output/message`` is its ExitMessage.
    Source: SageMaker developer guide, "Save and Access Metadata Information About Your Processing Job".
    """
    try:
        job = json.loads(error["Cause"])
        return str(job.get("ExitMessage") or job["FailureReason"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return str(error.get("Cause") or error.get("Error"))
