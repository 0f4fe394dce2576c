"""After one evaluation: its report against the gates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from lambdas.check_gates.gates import GatePolicy, check_gates, refusal
from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.evaluation import Evaluation
from lambdas.common.observability import logger, tracer
from lambdas.common.s3_uri import read_json


@dataclass(frozen=True)
class Environment(GatePolicy):
    """The gate policy is the whole environment."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One candidate, with ``evaluation_error`` when its evaluation failed -> what registration needs: figures, gates, ``passed``."""
    candidate = {key: event[key] for key in ("training_job", "objective", "model_uri")}
    if "evaluation_error" in event:
        result = {**candidate, "passed": False, "gates": [refusal(failure_reason(event["evaluation_error"]))]}
    else:
        result = {**candidate, **_judge(f"{event['output_uri']}/evaluation.json")}
    logger.info("gates checked", extra={"candidate": result})
    return result


def _judge(evaluation_uri: str) -> dict[str, Any]:
    evaluation = Evaluation.parse(read_json(client("s3"), evaluation_uri))
    gates = check_gates(evaluation, _environment())
    return {
        "evaluation_uri": evaluation_uri,
        "dataset_version": evaluation.dataset_version,
        "accuracy": evaluation.overall.accuracy.value,
        "macro_f1": evaluation.overall.macro_f1.value,
        "passed": all(gate.passed for gate in gates),
        "gates": [
            {"gate": gate.gate, "value": gate.value, "limit": gate.limit, "passed": gate.passed, "reason": gate.reason} for gate in gates
        ],
    }


def failure_reason(error: Mapping[str, str]) -> str:
    """What a failed ``.sync`` job says of itself: its FailureReason, else the whole cause."""
    try:
        return str(json.loads(error["Cause"])["FailureReason"])
    except (ValueError, KeyError, TypeError):
        return str(error.get("Cause") or error.get("Error"))
