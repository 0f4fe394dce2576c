"""Make a release wanted: write the record, then let CloudFormation update the endpoint stack with its previous template.

CloudFormation stays the only writer of the endpoint. Every call may be repeated.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release
from lambdas.rollout.apply_release.request import (
    RollbackContinued,
    StackBusy,
    StackUnusable,
    continued,
    is_stuck,
    refusal,
    to_be_skipped,
    update_request,
)
from lambdas.rollout.endpoint import describe


@dataclass(frozen=True)
class Environment:
    release_parameter: str
    endpoint_name: str
    stack_name: str
    stack_role_arn: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"release": "<champion>,<challenger>", "execution_arn", "record_first"}`` -> ``{"release", "updating"}``.

    ``record_first`` (default false) takes a release back: the record is written before the stack is checked, so that it is right even if
    the stack takes no update, and a stack whose own rollback has failed is made to go on with it.

    Raises:
        InvalidRelease: not a release record.
        RollbackContinued: the stack's rollback had failed and is tried again: the state machine comes back.
        StackBusy: another operation runs on the stack or the endpoint: the state machine tries again.
        StackUnusable: the stack is in a state that no update leaves.
    """
    environment, release = _environment(), Release.parse(event["release"])
    if event.get("record_first"):
        _write_record(release)
    stack = client("cloudformation").describe_stacks(StackName=environment.stack_name)["Stacks"][0]
    endpoint = describe(client("sagemaker"), environment.endpoint_name)
    if event.get("record_first") and is_stuck(stack["StackStatus"]):
        raise _continue_rollback(endpoint)
    problem = refusal(environment.stack_name, stack["StackStatus"], endpoint)
    if problem is not None:
        raise problem
    _write_record(release)
    # The same for a call that is repeated before its update has begun; a later update of the same release gets another.
    token = hashlib.sha256(f"{event['execution_arn']} {release.format()} {stack.get('LastUpdatedTime')}".encode()).hexdigest()
    updating = _update(update_request(stack, environment.stack_role_arn, token))
    logger.info("release applied", extra={"release": event["release"], "updating": updating})
    return {"release": release.format(), "updating": updating}


def _write_record(release: Release) -> None:
    ssm, name = client("ssm"), _environment().release_parameter
    if ssm.get_parameter(Name=name)["Parameter"]["Value"] != release.format():
        ssm.put_parameter(Name=name, Value=release.format(), Overwrite=True)


def _continue_rollback(endpoint: dict[str, Any] | None) -> RollbackContinued:
    cloudformation, environment = client("cloudformation"), _environment()
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=environment.stack_name)
    skipped = to_be_skipped(environment.stack_name, (event for page in pages for event in page["StackEvents"]), endpoint)
    request = {"ResourcesToSkip": skipped} if skipped else {}
    cloudformation.continue_update_rollback(StackName=environment.stack_name, RoleARN=environment.stack_role_arn, **request)
    logger.warning("stuck rollback continued", extra={"stack": environment.stack_name, "skipped": skipped})
    return continued(environment.stack_name, environment.stack_role_arn)


def _update(request: dict[str, Any]) -> bool:
    """False when the stack is as the record wants it already."""
    try:
        client("cloudformation").update_stack(**request)
    except ClientError as error:
        message = error.response["Error"]["Message"]
        if "No updates are to be performed" in message:
            return False
        if "_IN_PROGRESS" in message or error.response["Error"]["Code"] == "TokenAlreadyExistsException":
            raise StackBusy(message) from None
        raise StackUnusable(message) if "cannot be updated" in message or "can not be updated" in message else error from None
    return True
