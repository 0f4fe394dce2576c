"""Before a retraining: who is champion, and what its tuning can teach the next one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release
from lambdas.plan_retraining.plan import NextTuning, warm_start_from


@dataclass(frozen=True)
class Environment(NextTuning):
    release_parameter: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The execution's input -> ``{"reason", "champion", "warm_start_parents", "warm_start_reason"}`` or ``{"skipped": reason}``."""
    release = Release.parse(client("ssm").get_parameter(Name=_environment().release_parameter)["Parameter"]["Value"])
    if not release.exists:
        return {"skipped": "nothing is released yet: start the tuning, then release its best model"}
    package = client("sagemaker").describe_model_package(ModelPackageName=release.champion)
    warm_start = warm_start_from(_tuning_job(package.get("CustomerMetadataProperties", {}).get("tuning_job")), _environment())
    plan = {
        "reason": str(event.get("reason") or "started by hand"),
        "champion": release.champion,
        "warm_start_parents": list(warm_start.parents),
        "warm_start_reason": warm_start.reason,
    }
    logger.info("retraining planned", extra={"plan": plan})
    return plan


def _tuning_job(name: str | None) -> dict[str, Any] | None:
    if name is None:
        return None
    try:
        job: dict[str, Any] = client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceNotFound", "ValidationException"):
            return None
        raise
    return job
