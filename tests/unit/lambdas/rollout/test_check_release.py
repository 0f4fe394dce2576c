"""What really runs: an update that reports success over an old configuration is told as rolled back."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.common.release import EMPTY_RELEASE, Release
from lambdas.rollout.check_release.running import Status, Verdict, of_endpoint, of_stack, settled

A, B = (f"arn:aws:sagemaker:us-east-1:123456789012:model-package/reviewloop-dev/{number}" for number in (1, 2))
WANTED = Release(A, B)


def endpoint(status: str = "InService", reason: str | None = None) -> dict[str, Any]:
    return {"EndpointStatus": status, "EndpointConfigName": "config-1"} | ({"FailureReason": reason} if reason else {})


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE"])
def test_a_stack_that_ended_well_says_nothing_about_the_endpoint(status: str) -> None:
    assert of_stack("s", status, []) is None


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
def test_a_busy_stack_is_asked_again(status: str) -> None:
    verdict = of_stack("s", status, [])
    assert verdict is not None
    assert verdict.status is Status.UPDATING


def test_a_rolled_back_stack_gives_its_first_failure() -> None:
    events = [
        {"LogicalResourceId": "Endpoint", "ResourceStatus": "UPDATE_FAILED", "ResourceStatusReason": "cancelled"},
        {"LogicalResourceId": "Model", "ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "no artifact"},
        {"LogicalResourceId": "s", "ResourceStatus": "UPDATE_IN_PROGRESS"},
    ]
    verdict = of_stack("s", "UPDATE_ROLLBACK_COMPLETE", events)
    assert verdict is not None
    assert (verdict.status, verdict.reason) == (Status.ROLLED_BACK, "the update of stack s was rolled back: Model: no artifact")
    stuck = of_stack("s", "UPDATE_ROLLBACK_FAILED", events)
    assert stuck is not None
    assert stuck.status is Status.FAILED


@pytest.mark.parametrize(
    ("described", "packages", "status", "reason"),
    [
        (endpoint(), {"champion": A, "challenger": B}, Status.IN_PLACE, "runs config-1"),
        (endpoint(), {"champion": A, "challenger": A}, Status.ROLLED_BACK, f"challenger runs {A}, not {B}"),
        (endpoint(reason="alarm went off"), {"champion": A, "challenger": A}, Status.ROLLED_BACK, "alarm went off"),
        (endpoint(), {"champion": A}, Status.ROLLED_BACK, "challenger runs nothing"),
        (endpoint("Updating"), {"champion": A, "challenger": A}, Status.UPDATING, "is Updating"),
        (endpoint("RollingBack"), {"champion": A, "challenger": B}, Status.UPDATING, "is RollingBack"),
        (endpoint("Failed", "no capacity"), {}, Status.FAILED, "no capacity"),
        (None, {}, Status.FAILED, "there is no endpoint"),
    ],
)
def test_the_variants_packages_decide(described: dict[str, Any] | None, packages: dict[str, str], status: Status, reason: str) -> None:
    verdict = of_endpoint(described, packages, WANTED)
    assert verdict.status is status
    assert reason in verdict.reason


def test_no_endpoint_is_right_when_nothing_is_released() -> None:
    assert of_endpoint(None, {}, EMPTY_RELEASE).status is Status.IN_PLACE


def test_a_rolled_back_stack_may_hold_what_is_wanted_all_the_same() -> None:
    """Withdrawing after a failed update has nothing to update: what runs decides."""
    rolled_back, busy = Verdict(Status.ROLLED_BACK, "no artifact"), Verdict(Status.UPDATING, "busy")
    running, other = Verdict(Status.IN_PLACE, "runs"), Verdict(Status.ROLLED_BACK, "other packages")
    assert settled(rolled_back, lambda: running) is running
    assert settled(rolled_back, lambda: other) is rolled_back
    assert settled(busy, lambda: running) is busy
    assert settled(None, lambda: other) is other
