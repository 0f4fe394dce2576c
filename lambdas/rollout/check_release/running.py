"""Does the endpoint run the release that its stack was given? Pure: described resources in, a verdict out.

An update that a rollback alarm ended leaves the endpoint InService on its *old* configuration while the stack may report
success, so only what the variants really run tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lambdas.common.release import Release
from lambdas.rollout.endpoint import CHANGING


class Status(StrEnum):
    """``UPDATING``: ask again. ``ROLLED_BACK``: it was tried, and the old release runs. ``FAILED``: a person must look."""

    UPDATING = "updating"
    IN_PLACE = "in_place"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    status: Status
    reason: str


def of_stack(name: str, status: str, events: Sequence[Mapping[str, Any]]) -> Verdict | None:
    """What the stack alone says; None when it ended well and the endpoint must be asked.

    Args:
        events: of the last operation, newest first.
    """
    if status.endswith("_IN_PROGRESS"):
        return Verdict(Status.UPDATING, f"stack {name} is {status}")
    if status in ("UPDATE_COMPLETE", "CREATE_COMPLETE", "IMPORT_COMPLETE"):
        return None
    failed = next((event for event in reversed(events) if event["ResourceStatus"].endswith("_FAILED")), None)
    why = (
        f"{failed['LogicalResourceId']}: {failed.get('ResourceStatusReason', 'no reason given')}"
        if failed
        else "no failed resource is known"
    )
    if status == "UPDATE_ROLLBACK_COMPLETE":
        return Verdict(Status.ROLLED_BACK, f"the update of stack {name} was rolled back: {why}")
    return Verdict(Status.FAILED, f"stack {name} is {status}: {why}")


def of_endpoint(endpoint: Mapping[str, Any] | None, packages: Mapping[str, str], wanted: Release) -> Verdict:
    """What the running endpoint says: updating, in place, rolled back, or failed, with its reason.

    Args:
        endpoint: DescribeEndpoint, None when there is none.
        packages: variant name -> ARN of the model package that it runs.
    """
    if endpoint is None:
        return Verdict(Status.FAILED if wanted.exists else Status.IN_PLACE, "there is no endpoint")
    status, reason = endpoint["EndpointStatus"], endpoint.get("FailureReason")
    if status in CHANGING:
        return Verdict(Status.UPDATING, f"the endpoint is {status}")
    if status != "InService":
        return Verdict(Status.FAILED, f"the endpoint is {status}: {reason or 'no reason given'}")
    different = [
        f"{variant} runs {packages.get(variant, 'nothing')}, not {package}"
        for variant, package in (("champion", wanted.champion), ("challenger", wanted.challenger))
        if packages.get(variant) != package
    ]
    if different:
        return Verdict(
            Status.ROLLED_BACK, reason or f"the endpoint kept its configuration {endpoint['EndpointConfigName']}: {'; '.join(different)}"
        )
    return Verdict(Status.IN_PLACE, f"the endpoint runs {endpoint['EndpointConfigName']}")


def settled(stack: Verdict | None, ask_endpoint: Callable[[], Verdict]) -> Verdict:
    """The stack's word, but for a stack whose last update was rolled back: it may hold the wanted release all the same."""
    if stack is not None and stack.status is not Status.ROLLED_BACK:
        return stack
    endpoint = ask_endpoint()
    return endpoint if stack is None or endpoint.status in (Status.IN_PLACE, Status.UPDATING) else stack
