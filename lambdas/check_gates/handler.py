"""After one evaluation: its report against the gates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from lambdas.check_gates.gates import GatePolicy, check_gates
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


@cache
def _s3() -> Any:
    return boto3.client("s3", config=Config(retries={"mode": "standard"}))


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One candidate -> the candidate with ``passed``, ``gates`` and the figures that registration records."""
    evaluation_uri = f"{event['output_uri']}/evaluation.json"
    evaluation = Evaluation.parse(read_json(_s3(), evaluation_uri))
    gates = check_gates(evaluation, _environment())
    result = {
        "training_job": event["training_job"],
        "objective": event["objective"],
        "model_uri": event["model_uri"],
        "evaluation_uri": evaluation_uri,
        "dataset_version": evaluation.dataset_version,
        "macro_f1": evaluation.overall.macro_f1.value,
        "passed": all(gate.passed for gate in gates),
        "gates": [{**asdict(gate), "passed": gate.passed, "reason": gate.reason} for gate in gates],
    }
    logger.info("gates checked", extra={"candidate": result})
    return result
