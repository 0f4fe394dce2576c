"""The stack update of a release: previous template and parameters, and a stack or endpoint that cannot take it is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.rollout.apply_release import handler as entry
from lambdas.rollout.apply_release.request import RollbackContinued, StackBusy, StackUnusable, refusal, to_be_skipped, update_request


def test_everything_but_the_record_stays_as_it_was() -> None:
    stack = {"StackName": "s", "Parameters": [{"ParameterKey": "Release", "ParameterValue": "/n", "ResolvedValue": "a,b"}]}
    assert update_request(stack, "arn:role", "t") == {
        "StackName": "s",
        "UsePreviousTemplate": True,
        "Parameters": [{"ParameterKey": "Release", "UsePreviousValue": True}],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        "RoleARN": "arn:role",
        "ClientRequestToken": "t",
    }


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_a_settled_stack_takes_it(status: str) -> None:
    assert refusal("s", status, None) is None


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"])
def test_a_busy_stack_is_tried_again(status: str) -> None:
    assert isinstance(refusal("s", status, None), StackBusy)


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_FAILED", "ROLLBACK_COMPLETE", "DELETE_FAILED"])
def test_a_broken_stack_says_what_to_do(status: str) -> None:
    problem = refusal("s", status, None)
    assert isinstance(problem, StackUnusable)
    assert "repair it" in str(problem)


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_that_changes_by_itself_is_waited_for(status: str) -> None:
    """As while the autoscaler works: the stack's own update of it would fail, and the release be taken for refused."""
    problem = refusal("s", "UPDATE_COMPLETE", {"EndpointName": "e", "EndpointStatus": status})
    assert isinstance(problem, StackBusy)
    assert f"e is {status}" in str(problem)


@pytest.mark.parametrize("status", ["InService", "OutOfService", "Failed"])
def test_any_other_endpoint_is_left_to_cloudformation(status: str) -> None:
    assert refusal("s", "UPDATE_COMPLETE", {"EndpointName": "e", "EndpointStatus": status}) is None


def event(resource: str, status: str) -> dict[str, str]:
    return {"LogicalResourceId": resource, "ResourceStatus": status}


EVENTS = [
    event("s", "UPDATE_ROLLBACK_FAILED"),
    event("Endpoint", "UPDATE_FAILED"),
    event("Alarm", "UPDATE_COMPLETE"),
    event("Alarm", "UPDATE_FAILED"),
    event("s", "UPDATE_ROLLBACK_IN_PROGRESS"),
    event("Model", "UPDATE_FAILED"),
]


@pytest.mark.parametrize(
    ("status", "skipped"), [("Failed", ["Endpoint"]), ("OutOfService", ["Endpoint"]), ("InService", []), ("Updating", []), (None, [])]
)
def test_only_of_a_failed_endpoint_is_left_out_what_cannot_go_back(status: str | None, skipped: list[str]) -> None:
    """Anything else would leave CloudFormation with another picture of the endpoint than what runs."""
    assert to_be_skipped("s", EVENTS, {"EndpointName": "e", "EndpointStatus": status} if status else None) == skipped


# -- the record -------------------------------------------------------------------------------------

PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/reviewloop-dev/1"
RECORD = f"{PACKAGE},{PACKAGE}"


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Stubber]]:
    """Real clients whose answers are queued; a call without one fails."""
    keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    clients = {service: boto3.client(service, **keys) for service in ("cloudformation", "sagemaker", "ssm")}
    made = {service: Stubber(client) for service, client in clients.items()}
    monkeypatch.setattr(entry, "client", lambda service: clients[service])
    monkeypatch.setattr(
        entry, "_environment", lambda: entry.Environment("/release", "endpoint", "stack", "arn:aws:iam::123456789012:role/update")
    )
    for stub in made.values():
        stub.activate()
    yield made
    for stub in made.values():
        stub.assert_no_pending_responses()


def applied(*, record_first: bool) -> Any:
    context = SimpleNamespace(function_name="f", memory_limit_in_mb=1, invoked_function_arn="a", aws_request_id="r")
    return entry.handler({"release": RECORD, "execution_arn": "execution", "record_first": record_first}, context)


def stack_is(stubs: dict[str, Stubber], status: str) -> None:
    stack = {"StackName": "stack", "CreationTime": datetime(2026, 1, 1, tzinfo=UTC), "StackStatus": status}
    stubs["cloudformation"].add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "stack"})
    stubs["sagemaker"].add_client_error("describe_endpoint", "ValidationException", 'Could not find endpoint "endpoint".')


def record_is_written(stubs: dict[str, Stubber]) -> None:
    stubs["ssm"].add_response("get_parameter", {"Parameter": {"Value": "none,none"}}, {"Name": "/release"})
    stubs["ssm"].add_response("put_parameter", {"Version": 2}, {"Name": "/release", "Value": RECORD, "Overwrite": True})


def test_a_release_that_is_taken_back_leaves_the_record_even_of_an_unusable_stack(stubs: dict[str, Stubber]) -> None:
    record_is_written(stubs)
    stack_is(stubs, "ROLLBACK_FAILED")
    with pytest.raises(StackUnusable):
        applied(record_first=True)


def test_a_stack_whose_rollback_failed_goes_on_with_it_under_the_same_narrow_role(stubs: dict[str, Stubber]) -> None:
    record_is_written(stubs)
    stack_is(stubs, "UPDATE_ROLLBACK_FAILED")
    role = "arn:aws:iam::123456789012:role/update"
    stubs["cloudformation"].add_response("continue_update_rollback", {}, {"StackName": "stack", "RoleARN": role})
    with pytest.raises(RollbackContinued, match=rf"continue-update-rollback --stack-name stack --role-arn {role}"):
        applied(record_first=True)


def test_a_release_that_is_not_in_place_yet_is_not_recorded_for_a_stuck_stack(stubs: dict[str, Stubber]) -> None:
    stack_is(stubs, "UPDATE_ROLLBACK_FAILED")
    with pytest.raises(StackUnusable):
        applied(record_first=False)
