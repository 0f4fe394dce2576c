"""UpdateStack of the endpoint stack: its previous template and parameters, so that only the release record's value changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
_UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")


class StackBusy(RuntimeError):
    """Another operation runs on the stack, such as a ``cdk deploy``: worth another try later."""


class StackUnusable(RuntimeError):
    """No update of the stack can succeed before a person has repaired it."""


def refusal(stack: str, status: str) -> RuntimeError | None:
    """Why a stack in this status cannot be updated now, or None."""
    if status in _UPDATABLE:
        return None
    if status.endswith("_IN_PROGRESS"):
        return StackBusy(f"stack {stack} is {status}")
    return StackUnusable(f"stack {stack} is {status}: repair it (continue its rollback, or delete and deploy it), then start again")


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
