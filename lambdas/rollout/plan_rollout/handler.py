"""First step of a rollout: check the input against the record, the packages, the endpoint and other rollouts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from contracts.shared_words import VARIANTS
from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release
from lambdas.rollout.endpoint import describe, running_packages
from lambdas.rollout.plan_rollout.in_place import completed
from lambdas.rollout.plan_rollout.plan import InvalidRollout, Kind, RolloutInput, RolloutPlan, comparable, earlier, judged, missing, plan
from lambdas.rollout.plan_rollout.withdrawal import withdrawal
from lambdas.rollout.progress import Approval, Progress, RolloutPolicy


class AnotherRolloutRuns(RuntimeError):
    """Two rollouts would undo each other."""


@dataclass(frozen=True)
class Environment:
    """``policy``, ``approval``: where the input names none. ``longest_hours``: from the start of an experiment to its deadline."""

    release_parameter: str
    endpoint_name: str
    policy: str
    approval: str
    first_share: float
    longest_hours: float
    asks_people: bool


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
        EndpointUpdating: what shall be withdrawn, or serves already, is not settled yet: the state machine asks again.
    """
    wanted = RolloutInput.parse(event["input"])
    running = client("stepfunctions").list_executions(stateMachineArn=event["state_machine_arn"], statusFilter="RUNNING")["executions"]
    other = earlier(running, event["execution_arn"])
    if other is not None:
        raise AnotherRolloutRuns(f"rollout {other} is not finished: wait for its end, or stop it and start this one again")
    current = Release.parse(client("ssm").get_parameter(Name=_environment().release_parameter)["Parameter"]["Value"])
    policy = wanted.policy or RolloutPolicy(_environment().policy)
    judged(policy, asks_people=_environment().asks_people)
    decided, versions = (
        (withdrawal(current, *_running()), {})
        if wanted.release is None
        else _release(wanted.release, current, policy=policy, replace=wanted.replace)
    )
    result = {
        **decided.as_json(),
        "reason": wanted.reason,
        "model_versions": versions,
        "progress": _progress(policy, wanted.approval or Approval(_environment().approval)).as_json(),
    }
    logger.info("rollout planned", extra={"plan": result})
    return result


def _progress(policy: RolloutPolicy, approval: Approval) -> Progress:
    """Nobody is answered by a challenger in the shadow."""
    environment, now = _environment(), datetime.now(UTC).isoformat(timespec="milliseconds")
    share = environment.first_share if policy is RolloutPolicy.CANARY else 0.0
    return Progress.begin(share, now, hours=environment.longest_hours, policy=policy, approval=approval)


def _release(wanted: Release, current: Release, *, policy: RolloutPolicy, replace: bool) -> tuple[RolloutPlan, dict[str, str]]:
    """The plan, and the model version of each variant."""
    packages = {package: _package(package, current) for package in {wanted.champion, wanted.challenger}}
    statuses = {name: package["ModelApprovalStatus"] for name, package in packages.items()}
    decided = plan(wanted, current, statuses, policy=policy, replace=replace)
    versions = {name: package.get("CustomerMetadataProperties", {}).get("training_job") for name, package in packages.items()}
    if decided.kind is Kind.EXPERIMENT:
        comparable(wanted, versions)
    if decided.kind is Kind.UNCHANGED:
        decided = completed(wanted, *_running())
    return decided, {variant: versions[getattr(wanted, variant)] or "unknown" for variant in VARIANTS}


def _running() -> tuple[dict[str, Any] | None, dict[str, str]]:
    """The endpoint, None when there is none, and the package that each variant runs; no packages where its configuration is gone."""
    sagemaker = client("sagemaker")
    endpoint = describe(sagemaker, _environment().endpoint_name)
    if endpoint is None:
        return None, {}
    try:
        return endpoint, running_packages(sagemaker, endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        logger.warning("the endpoint's configuration is gone", extra={"endpoint": endpoint["EndpointName"]})
        return endpoint, {}


def _package(arn: str, current: Release) -> dict[str, Any]:
    sagemaker = client("sagemaker")
    try:
        package: dict[str, Any] = sagemaker.describe_model_package(ModelPackageName=arn)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ValidationException", "ResourceNotFound"):
            raise InvalidRollout(missing(arn, current)) from None
        raise
    return package
