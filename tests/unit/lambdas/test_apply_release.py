"""The stack update of a release: previous template and parameters, and a stack that cannot take it is left alone."""

from __future__ import annotations

import pytest

from lambdas.apply_release.request import StackBusy, StackUnusable, refusal, update_request


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
    assert refusal("s", status) is None


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"])
def test_a_busy_stack_is_tried_again(status: str) -> None:
    assert isinstance(refusal("s", status), StackBusy)


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_FAILED", "ROLLBACK_COMPLETE", "DELETE_FAILED"])
def test_a_broken_stack_says_what_to_do(status: str) -> None:
    problem = refusal("s", status)
    assert isinstance(problem, StackUnusable)
    assert "repair it" in str(problem)
