"""The rollout's state machine: what takes a release back is recorded first, and the longest fleet shift fits one execution's history."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from apps import template_of
from aws_cdk.assertions import Template
from deployed_definition import arn, definition, grants, resolve, stage_names, statements
from endpoint_choices import DEV, endpoint_template, hosting, variant_alarms

from lambdas.rollout.plan_rollout.plan import Kind
from lambdas.rollout.progress import Outcome
from stacks.rollout.stack import RolloutStack
from stacks.settings.rollout import MOST_LOOKS

NAMES = stage_names("dev")
EVENTS_OF_A_POLL = 9
"""Entered and exited wait, task and choice, and the task's schedule, start and end."""
EVENTS_OF_A_RETRY = 3
HISTORY = 25_000
"""Source: Step Functions developer guide, "Service quotas"."""


@pytest.fixture(scope="module")
def template() -> Template:
    return template_of(RolloutStack, DEV)


def test_only_what_takes_a_release_back_is_recorded_first(template: Template) -> None:
    states: dict[str, Any] = definition(template)["States"]
    first = {name: state["Parameters"]["record_first"] for name, state in states.items() if "record_first" in state.get("Parameters", {})}
    forth, back = ("FirstApply", "ChallengeApply", "PromoteApply", "ReplaceApply"), ("UndoFirst", "WithdrawApply", "ClearApply")
    assert first == {**dict.fromkeys(forth, False), **dict.fromkeys(back, True)}
    for name in (*forth, *back):  # a rollback that fails again and again is not tried for ever
        retries = {error: retry["MaxAttempts"] for retry in states[name]["Retry"] for error in retry["ErrorEquals"]}
        assert retries.get("RollbackContinued") == (2 if name in back else None)


def test_every_kind_of_plan_has_its_branch_and_every_outcome_its_end(template: Template) -> None:
    states: dict[str, Any] = definition(template)["States"]
    branches = {choice["StringEquals"]: choice["Next"] for choice in states["Kind"]["Choices"]}
    assert branches | {Kind.UNCHANGED: states["Kind"]["Default"]} == {
        Kind.FIRST: "FirstApply", Kind.EXPERIMENT: "OpenCanary", Kind.BLUE_GREEN: "Approval",
        Kind.REPLACEMENT: "CloseStopped", Kind.WITHDRAWAL: "Asked",
        Kind.REBUILD: "ClearApply", Kind.UNCHANGED: "Unchanged",
    }  # fmt: skip
    assert states["Asked"]["Next"] == "EndComparison"
    assert states["TakeBack"]["Default"] == "TakeAll", "a person's withdrawal takes the callers first"
    told = {state["Parameters"]["outcome"] for state in states.values() if "outcome" in state.get("Parameters", {})}
    assert told == set(Outcome)
    (patience,) = (retry for retry in states["Plan"]["Retry"] if "EndpointUpdating" in retry["ErrorEquals"])
    assert patience["MaxAttempts"] * patience["IntervalSeconds"] >= DEV.hosting.fleet_shift.max_execution_seconds


def test_a_look_takes_no_more_of_the_history_than_the_settings_allow_for(template: Template) -> None:
    """Events of one round: two of a wait, a pass and a choice each, and five of a task."""
    states: dict[str, Any] = definition(template)["States"]
    cost, round_, state = {"Wait": 2, "Task": 5, "Pass": 2, "Choice": 2}, [], "WaitStep"
    while state not in round_:
        round_.append(state)
        choices = {choice["StringEquals"]: choice["Next"] for choice in states[state].get("Choices", [])}
        state = choices.get("hold") or states[state]["Next"]
    events = sum(cost[states[name]["Type"]] for name in round_)
    assert MOST_LOOKS * events < 0.5 * HISTORY, "three fleet shifts need the other half"


def test_a_stuck_rollback_is_continued_under_the_narrow_role_alone(template: Template) -> None:
    (grant,) = (one for one in statements(template, "ApplyReleaseRole") if "cloudformation:ContinueUpdateRollback" in one["Action"])
    assert grant["Condition"]["StringEquals"].keys() == {"cloudformation:RoleArn"}


def test_apply_release_sees_the_one_endpoint(template: Template) -> None:
    assert grants(template, "ApplyReleaseRole")["sagemaker:DescribeEndpoint"] == {arn("sagemaker", f"endpoint/{NAMES.endpoint}")}


def test_the_parameters_of_the_endpoint_stack_are_read_by_whoever_updates_it(template: Template) -> None:
    """CloudFormation reads them for an update, as its service role or as its caller."""
    parameters = endpoint_template(DEV).to_json()["Parameters"].values()
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
    assert made == {arn("sagemaker", "model/*"), NAMES.model_packages_arn}


@pytest.mark.parametrize("seconds", [600, 3_600, 28_800])
def test_three_fleet_shifts_fit_the_history_and_are_waited_for_to_their_end(seconds: int) -> None:
    states = definition(template_of(RolloutStack, hosting(shift={"max_execution_seconds": seconds})))["States"]
    polls = seconds / states["ChallengeWait"]["Seconds"]
    assert 3 * polls * (EVENTS_OF_A_POLL + EVENTS_OF_A_RETRY) < 0.8 * HISTORY
    for name, error in (("ChallengeApply", "StackBusy"), ("OpenCanary", "EndpointUpdating")):
        (patience,) = (retry for retry in states[name]["Retry"] if error in retry["ErrorEquals"])
        assert patience["MaxAttempts"] * patience["IntervalSeconds"] >= seconds


def test_a_release_changes_its_rollback_alarms_and_none_that_watches_the_stage(template: Template) -> None:
    """Whoever could delete the stage's alarms could hide what a bad release does."""
    endpoint = endpoint_template(DEV)
    ours = [name for name in grants(template, "EndpointUpdateRole")["cloudwatch:DeleteAlarms"] if "TargetTracking" not in name]
    assert sorted(ours) == [arn("cloudwatch", f"alarm:{NAMES.rollback_alarms(variant)}*") for variant in ("challenger", "champion")]
    names = [str(resolve(endpoint.to_json(), item["Properties"]["AlarmName"])) for item in variant_alarms(endpoint, green=True).values()]
    assert all(any(fnmatchcase(arn("cloudwatch", f"alarm:{name}"), one) for one in ours) for name in names)


def test_only_what_a_release_creates_gets_its_tags_and_only_configurations_with_them_are_served(template: Template) -> None:
    """By AddTags alone any model of the account could be made one of this stage, and then be deleted or served."""
    ours = {"application": DEV.name, "stage": DEV.stage}
    kinds = {arn("sagemaker", "model/*"): "CreateModel", arn("sagemaker", "endpoint-config/*"): "CreateEndpointConfig"}
    granted = statements(template, "EndpointUpdateRole")
    tagging = [one for one in granted if "sagemaker:AddTags" in one["Action"] and one["Resource"] in kinds]
    assert {one["Resource"]: one["Condition"] for one in tagging} == {
        resource: {"StringEquals": {f"aws:RequestTag/{key}": value for key, value in ours.items()} | {"sagemaker:TaggingAction": action}}
        for resource, action in kinds.items()
    }
    serving = [one for one in granted if "sagemaker:UpdateEndpoint" in one["Action"]]
    assert {one["Resource"]: one.get("Condition") for one in serving} == {
        arn("sagemaker", f"endpoint/{NAMES.endpoint}"): None,
        arn("sagemaker", "endpoint-config/*"): {"StringEquals": {f"aws:ResourceTag/{key}": value for key, value in ours.items()}},
    }
