"""What a rollout may do: every refusal names the field, and two rollouts never run at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdas.common.release import EMPTY_RELEASE, Release
from lambdas.rollout.plan_rollout.plan import InvalidRollout, Kind, RolloutInput, comparable, earlier, judged, missing, plan
from lambdas.rollout.progress import Approval, RolloutPolicy

A, B, C = (f"arn:aws:sagemaker:us-east-1:123456789012:model-package/reviewloop-dev/{number}" for number in (1, 2, 3))
APPROVED = dict.fromkeys((A, B, C), "Approved")


def test_before_the_first_release_both_are_released_as_they_are() -> None:
    planned = plan(Release(A, B), EMPTY_RELEASE, APPROVED)
    assert (planned.kind, planned.target, planned.withdrawn) == (Kind.FIRST, Release(A, B), EMPTY_RELEASE)


@pytest.mark.parametrize("running", [Release(A, A), Release(A, C)])
def test_a_new_challenger_is_an_experiment_with_a_way_forth_and_back(running: Release) -> None:
    planned = plan(Release(A, B), running, APPROVED)
    assert planned.kind is Kind.EXPERIMENT
    records = {"target": f"{A},{B}", "promoted": f"{B},{B}", "withdrawn": f"{A},{A}"}
    assert planned.as_json() == {"kind": "experiment", **records, "why": ""}


def test_a_champion_that_is_recorded_alone_already_is_left_to_the_endpoint() -> None:
    """``in_place.py`` asks it."""
    assert plan(Release(A, A), Release(A, A), APPROVED).kind is Kind.UNCHANGED


def test_a_stopped_experiment_begins_anew() -> None:
    """It must not end as done: nobody has compared the two."""
    planned = plan(Release(A, B), Release(A, B), APPROVED)
    assert (planned.kind, planned.target) == (Kind.EXPERIMENT, Release(A, B))


@pytest.mark.parametrize("running", [Release(A, A), Release(A, B), Release(A, C)])
def test_blue_green_puts_the_challenger_in_the_champions_place_at_once(running: Release) -> None:
    planned = plan(Release(A, B), running, APPROVED, policy=RolloutPolicy.BLUE_GREEN)
    records = {"target": f"{B},{B}", "promoted": f"{B},{B}", "withdrawn": f"{A},{A}"}
    assert planned.as_json() == {"kind": "blue_green", **records, "why": ""}


def test_a_promotion_that_was_stopped_goes_on_and_can_still_go_back() -> None:
    """Its record names the challenger alone already."""
    planned = plan(Release(A, B), Release(B, B), APPROVED, policy=RolloutPolicy.BLUE_GREEN)
    records = {"target": f"{B},{B}", "promoted": f"{B},{B}", "withdrawn": f"{A},{A}"}
    assert planned.as_json() == {"kind": "blue_green", **records, "why": ""}
    with pytest.raises(InvalidRollout, match=f"champion {A} is not the running champion {B}"):
        plan(Release(A, B), Release(B, B), APPROVED)
    with pytest.raises(InvalidRollout, match=f"champion {A} is not the running champion {B}"):
        plan(Release(A, B), Release(B, C), APPROVED, policy=RolloutPolicy.BLUE_GREEN)


def test_a_policy_that_needs_people_is_refused_where_nobody_is_asked() -> None:
    for policy in RolloutPolicy:
        judged(policy, asks_people=True)
    judged(RolloutPolicy.BLUE_GREEN, asks_people=False)
    for policy in (RolloutPolicy.SHADOW, RolloutPolicy.CANARY):
        with pytest.raises(InvalidRollout, match=f"input.policy {policy} lets people judge .* asks nobody: give blue_green"):
            judged(policy, asks_people=False)


def test_packages_whose_answers_cannot_be_told_apart_are_not_compared() -> None:
    """Each of their pairs would be missed, and the rollout would end as inconclusive after days."""
    comparable(Release(A, B), {A: "job-1", B: "job-2"})
    with pytest.raises(InvalidRollout, match=f"input.challenger {B} names no training job, .* or give policy blue_green"):
        comparable(Release(A, B), {A: "job-1", B: None})
    with pytest.raises(InvalidRollout, match=f"input.champion {A} names no training job"):
        comparable(Release(A, B), {A: "", B: "job-2"})


@pytest.mark.parametrize(
    ("wanted", "running", "approval", "message"),
    [
        (Release(B, C), Release(A, A), APPROVED, f"champion {B} is not the running champion {A}"),
        (Release(B, C), Release(A, A), APPROVED, '"replace": true'),
        (Release(A, A), Release(A, B), APPROVED, "is the running champion itself"),
        (Release(A, A), Release(A, B), APPROVED, 'to take a stopped rollout back, give {"withdraw": true}'),
        (Release(A, B), Release(A, A), APPROVED | {B: "PendingManualApproval"}, f"input.challenger {B} is PendingManualApproval"),
        (Release(A, B), EMPTY_RELEASE, APPROVED | {A: "Rejected"}, f"input.champion {A} is Rejected"),
    ],
)
def test_what_must_not_be_released_is_refused_by_name(wanted: Release, running: Release, approval: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidRollout, match=message):
        plan(wanted, running, approval)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"champion": A}, "input.challenger None"),
        ({"champion": A, "challenger": 3}, "input.challenger 3"),
        ({"champion": "model-1", "challenger": B}, "release.champion 'model-1'"),
        ({"champion": "none", "challenger": "none"}, "releases nothing"),
        ({"champion": A, "challenger": B, "weight": 1}, "input field 'weight' is unknown"),
        ({"withdraw": False}, "input.withdraw False must be true, or be left out"),
        ({"champion": A, "replace": "yes"}, "input.replace 'yes' must be true"),
        ({"withdraw": True, "champion": A}, "input.champion is not allowed beside withdraw"),
        ({"withdraw": True, "replace": True}, "input.replace is not allowed beside withdraw"),
        ({"champion": A, "challenger": B, "replace": True}, f"input.challenger {B} is not allowed beside replace"),
        ({"replace": True}, "input.champion None"),
        ({"champion": A, "challenger": B, "policy": "bluegreen"}, "input.policy 'bluegreen' must be one of shadow, canary, blue_green"),
        ({"champion": A, "challenger": B, "approval": True}, "input.approval True must be one of automatic, manual, or be left out"),
        ({"champion": A, "replace": True, "policy": "canary"}, "input.policy is not allowed beside replace"),
        ({"withdraw": True, "approval": "manual"}, "input.approval is not allowed beside withdraw"),
    ],
)
def test_a_bad_input_is_refused_by_field(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRollout, match=message):
        RolloutInput.parse(raw)


def test_the_parents_execution_id_is_no_unknown_field() -> None:
    read = RolloutInput.parse({"champion": A, "challenger": B, "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn"})
    assert read == RolloutInput(Release(A, B), "started by hand")


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ({"withdraw": True, "reason": "too slow"}, RolloutInput(None, "too slow")),
        (
            {"champion": A, "challenger": B, "policy": "shadow", "approval": "manual"},
            RolloutInput(Release(A, B), "started by hand", policy=RolloutPolicy.SHADOW, approval=Approval.MANUAL),
        ),
        ({"champion": B, "replace": True}, RolloutInput(Release(B, B), "started by hand", replace=True)),
        ({"champion": B, "challenger": B, "replace": True}, RolloutInput(Release(B, B), "started by hand", replace=True)),
    ],
)
def test_withdrawing_replacing_and_other_policies_are_read_from_the_input(raw: dict[str, Any], read: RolloutInput) -> None:
    assert RolloutInput.parse(raw) == read


@pytest.mark.parametrize("running", [Release(A, A), Release(A, C)])
def test_a_replacement_needs_no_running_champion_as_input_and_goes_back_to_it(running: Release) -> None:
    planned = plan(Release(B, B), running, {B: "Approved"}, replace=True)
    assert (planned.kind, planned.target, planned.withdrawn) == (Kind.REPLACEMENT, Release(B, B), Release(A, A))


def test_a_replacement_of_nothing_is_a_first_release_and_one_by_itself_is_no_change() -> None:
    assert plan(Release(B, B), EMPTY_RELEASE, APPROVED, replace=True).kind is Kind.FIRST
    assert plan(Release(B, B), Release(B, B), APPROVED, replace=True).kind is Kind.UNCHANGED
    with pytest.raises(InvalidRollout, match="is Rejected"):
        plan(Release(B, B), Release(A, A), {B: "Rejected"}, replace=True)


def test_a_champion_whose_package_was_deleted_has_a_way_out() -> None:
    assert '"replace": true' in missing(A, Release(A, B))
    assert "list the group's packages" in missing(C, Release(A, B))


def execution(name: str, minute: int) -> dict[str, Any]:
    start = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(minutes=minute)
    return {"executionArn": f"arn:{name}", "name": name, "startDate": start}


def test_of_several_rollouts_exactly_the_first_goes_on() -> None:
    running = [execution("b", 1), execution("a", 1), execution("c", 0)]
    assert [name for name in "abc" if earlier(running, f"arn:{name}") is None] == ["c"]
    together = [execution("b", 1), execution("a", 1)]
    assert [name for name in "ab" if earlier(together, f"arn:{name}") is None] == ["a"]
    assert earlier([execution("a", 0)], "arn:not-listed-yet") == "a"
