"""Last step of a tuning execution: the candidates that passed become model packages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.tuning.register_candidates.registration import package_request, passing


@dataclass(frozen=True)
class Environment:
    model_package_group: str
    inference_image: str
    approval_status: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"candidates", "tuning_job", "warm_start"}`` -> the state machine's output, best package first.

    Raises:
        GatesRefused: no candidate passed.
        EvaluationFailed: no candidate passed, and not all could be judged.
    """
    environment, packages = _environment(), []
    accepted = passing(event["candidates"])
    for candidate in accepted:
        request = package_request(
            candidate,
            group=environment.model_package_group,
            image=environment.inference_image,
            tuning_job=event["tuning_job"],
            approval=environment.approval_status,
        )
        arn = client("sagemaker").create_model_package(**request)["ModelPackageArn"]
        packages.append({"model_package_arn": arn, **{key: candidate[key] for key in ("training_job", "objective", "macro_f1")}})
    logger.info("model packages registered", extra={"packages": packages})
    return {
        "packages": packages,
        "tuning_job": event["tuning_job"],
        "warm_start": event["warm_start"],
        "dataset_version": accepted[0]["dataset_version"],
        "candidates": event["candidates"],
    }
