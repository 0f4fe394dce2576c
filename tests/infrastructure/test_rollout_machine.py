"""The rollout's state machine: what takes a release back is recorded first, and the longest fleet shift fits one execution's history."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import App
from aws_cdk.assertions import Template
from deployed_definition import arn, definition, grants
from endpoint_choices import DEV, hosting, stack_of

from stacks.application import FEATURE_FLAGS
from stacks.rollout import RolloutStack
from stacks.settings import Settings

EVENTS_OF_A_POLL = 9
"""Entered and exited wait, task and choice, and the task's schedule, start and end."""
EVENTS_OF_A_RETRY = 3
HISTORY = 25_000
"""Source: Step Functions developer guide, "Service quotas"."""


def template_of(settings: Settings) -> Template:
    return Template.from_stack(RolloutStack(App(context=FEATURE_FLAGS), settings))


@pytest.fixture(scope="module")
def template() -> Template:
    return template_of(DEV)


def test_only_what_takes_a_release_back_is_recorded_first(template: Template) -> None:
    states: dict[str, Any] = definition(template)["States"]
    first = {name: state["Parameters"]["record_first"] for name, state in states.items() if "record_first" in state.get("Parameters", {})}
    assert first == {"FirstApply": False, "ChallengeApply": False, "PromoteApply": False, "UndoFirst": True, "WithdrawApply": True}


def test_apply_release_sees_the_one_endpoint(template: Template) -> None:
    assert grants(template, "ApplyReleaseRole")["sagemaker:DescribeEndpoint"] == {arn("sagemaker", "endpoint/reviewloop-dev")}


def test_the_parameters_of_the_endpoint_stack_are_read_by_whoever_updates_it(template: Template) -> None:
    """CloudFormation reads them for an update, as its service role or as its caller."""
    parameters = Template.from_stack(stack_of(DEV)).to_json()["Parameters"].values()
    read = {arn("ssm", f"parameter{item['Default']}") for item in parameters if item["Type"].startswith("AWS::SSM::Parameter::Value")}
    for role in ("ApplyReleaseRole", "EndpointUpdateRole"):
        assert grants(template, role)["ssm:GetParameters"] == read, role


def test_cloudformation_may_assume_the_update_role_on_no_condition_that_it_might_not_meet(template: Template) -> None:
    roles = template.find_resources("AWS::IAM::Role")
    (role,) = (item["Properties"] for name, item in roles.items() if name.startswith("EndpointUpdateRole"))
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"Service": "cloudformation.amazonaws.com"}}


def test_models_are_made_of_our_own_groups_packages(template: Template) -> None:
    made = grants(template, "EndpointUpdateRole")["sagemaker:CreateModel"]
    assert made == {arn("sagemaker", "model/*"), arn("sagemaker", "model-package/reviewloop-dev/*")}


@pytest.mark.parametrize("seconds", [600, 3_600, 28_800])
def test_three_fleet_shifts_fit_the_history_and_are_waited_for_to_their_end(seconds: int) -> None:
    states = definition(template_of(hosting(shift={"max_execution_seconds": seconds})))["States"]
    polls = seconds / states["ChallengeWait"]["Seconds"]
    assert 3 * polls * (EVENTS_OF_A_POLL + EVENTS_OF_A_RETRY) < 0.8 * HISTORY
    for name, error in (("ChallengeApply", "StackBusy"), ("OpenCanary", "EndpointUpdating")):
        (patience,) = (retry for retry in states[name]["Retry"] if error in retry["ErrorEquals"])
        assert patience["MaxAttempts"] * patience["IntervalSeconds"] >= seconds
