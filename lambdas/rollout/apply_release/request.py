"""UpdateStack of the endpoint stack: its previous template and parameters, so that only the release record's value changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lambdas.rollout.endpoint import CHANGING, DEAD

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
_UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")


class StackBusy(RuntimeError):
    """Another operation runs on the stack or its endpoint, such as a ``cdk deploy`` or the autoscaler: worth another try later."""


class RollbackContinued(RuntimeError):
    """The stack's own rollback had failed and is tried again: the state machine comes back a few times."""


class StackUnusable(RuntimeError):
    """No update of the stack can succeed before a person has repaired it."""


def refusal(stack: str, status: str, endpoint: Mapping[str, Any] | None) -> RuntimeError | None:
    """Why a stack in this status cannot be updated now, or None.

    A change of the endpoint that the stack does not know, such as the autoscaler's, would fail the stack's own update of it.

    Args:
        endpoint: DescribeEndpoint, None when there is none. One that has failed is left to CloudFormation to tell of.
    """
    if status in _UPDATABLE:
        if endpoint is not None and endpoint["EndpointStatus"] in (*CHANGING, "Deleting"):
            return StackBusy(f"endpoint {endpoint['EndpointName']} is {endpoint['EndpointStatus']}")
        return None
    if status.endswith("_IN_PROGRESS"):
        return StackBusy(f"stack {stack} is {status}")
    return StackUnusable(f"stack {stack} is {status}: repair it (continue its rollback, or delete and deploy it), then start again")


def is_stuck(status: str) -> bool:
    """A rollback that failed: only ContinueUpdateRollback leaves this state (CloudFormation user guide, "Continue rolling back")."""
    return status == "UPDATE_ROLLBACK_FAILED"


def to_be_skipped(stack: str, events: Iterable[Mapping[str, Any]], endpoint: Mapping[str, Any] | None) -> list[str]:
    """Logical ids that a stuck rollback shall leave as they are; none while the endpoint could still go back.

    An endpoint that has failed takes no update any more, so a rollback of it never ends. It is deleted afterwards anyhow.

    Args:
        events: DescribeStackEvents, newest first.
        endpoint: DescribeEndpoint, None when there is none.
    """
    if endpoint is None or endpoint["EndpointStatus"] not in DEAD:
        return []
    latest: dict[str, str] = {}
    for event in events:
        if event["LogicalResourceId"] == stack and event["ResourceStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS":
            break
        latest.setdefault(event["LogicalResourceId"], event["ResourceStatus"])
    return sorted(name for name, status in latest.items() if status == "UPDATE_FAILED")


def continued(stack: str, role_arn: str) -> RollbackContinued:
    """The error for a stack whose rollback has just been continued: it names the next step."""
    return RollbackContinued(
        f"stack {stack} was UPDATE_ROLLBACK_FAILED, and its rollback was continued. If it fails again, look at the stack's events and "
        f"leave out what cannot go back: aws cloudformation continue-update-rollback --stack-name {stack} --role-arn {role_arn} "
        "--resources-to-skip <logical id>; then withdraw again"
    )


def update_request(stack: Mapping[str, Any], role_arn: str, token: str) -> dict[str, Any]:
    """The UpdateStack request that keeps the stack's template and every parameter.

    Args:
        stack: an entry of DescribeStacks.
        role_arn: the role that CloudFormation uses for this update.
        token: makes a repeated request the same operation; at most 128 letters, digits and hyphens.
    """
    parameters = [{"ParameterKey": item["ParameterKey"], "UsePreviousValue": True} for item in stack.get("Parameters", [])]
    return {
        "StackName": stack["StackName"],
        "UsePreviousTemplate": True,
        "Parameters": parameters,
        "Capabilities": list(CAPABILITIES),
        "RoleARN": role_arn,
        "ClientRequestToken": token,
    }
