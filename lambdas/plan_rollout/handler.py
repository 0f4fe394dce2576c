"""First step of a rollout: check the input against the record, the packages and other rollouts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release
from lambdas.common.rollout import Progress
from lambdas.plan_rollout.plan import InvalidRollout, RolloutInput, earlier, plan


class AnotherRolloutRuns(RuntimeError):
    """Two rollouts would undo each other."""


@dataclass(frozen=True)
class Environment:
    release_parameter: str
    first_share: float


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"input", "execution_arn", "state_machine_arn"}`` -> the plan, the packages' model versions and the first progress.

    Raises:
        InvalidRollout: the input cannot be rolled out.
        AnotherRolloutRuns: an earlier rollout is not finished.
    """
    wanted = RolloutInput.parse(event["input"])
    running = client("stepfunctions").list_executions(stateMachineArn=event["state_machine_arn"], statusFilter="RUNNING")["executions"]
    other = earlier(running, event["execution_arn"])
    if other is not None:
        raise AnotherRolloutRuns(f"rollout {other} is not finished: wait for its end, or stop it and start this one again")
    packages = {package: _package(package) for package in {wanted.release.champion, wanted.release.challenger}}
    current = Release.parse(client("ssm").get_parameter(Name=_environment().release_parameter)["Parameter"]["Value"])
    decided = plan(wanted.release, current, {name: package["ModelApprovalStatus"] for name, package in packages.items()})
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    result = {
        **decided.as_json(),
        "reason": wanted.reason,
        "model_versions": {
            variant: packages[getattr(wanted.release, variant)].get("CustomerMetadataProperties", {}).get("training_job", "unknown")
            for variant in ("champion", "challenger")
        },
        "progress": Progress.begin(_environment().first_share, now).as_json(),
    }
    logger.info("rollout planned", extra={"plan": result})
    return result


def _package(arn: str) -> dict[str, Any]:
    sagemaker = client("sagemaker")
    try:
        package: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=arn)
    except sagemaker.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            raise InvalidRollout(f"model package {arn} does not exist in this account and region: list the group's packages") from None
        raise
    return package
