"""First step of a retraining: finds the champion, and the tuning job from which the next search can learn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release


@dataclass(frozen=True)
class Environment:
    release_parameter: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The execution's input -> ``{"reason", "champion", "warm_start_parents"}`` or ``{"skipped": reason}``.

    Whether the champion's tuning job can be learnt from is decided where the next one is planned (``plan_tuning``).
    """
    release = Release.parse(client("ssm").get_parameter(Name=_environment().release_parameter)["Parameter"]["Value"])
    if not release.exists:
        return {"skipped": "nothing is released yet: start the tuning, then release its best model"}
    package = client("sagemaker").describe_model_package(ModelPackageName=release.champion)
    tuning_job = package.get("CustomerMetadataProperties", {}).get("tuning_job")
    plan = {
        "reason": str(event.get("reason") or "started by hand"),
        "champion": release.champion,
        "warm_start_parents": [tuning_job] if tuning_job else [],
    }
    logger.info("retraining planned", extra={"plan": plan})
    return plan
