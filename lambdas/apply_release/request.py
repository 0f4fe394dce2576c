"""UpdateStack of the endpoint stack: its previous template and parameters, so that only the release record's value changes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.common.endpoint import CHANGING

CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
_UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE")


class StackBusy(RuntimeError):
    """Another operation runs on the stack or its endpoint, such as a ``cdk deploy`` or the autoscaler: worth another try later."""


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
