"""What a rollout may do: every refusal names the field, and two rollouts never run at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lambdas.common.release import EMPTY_RELEASE, Release
from lambdas.plan_rollout.plan import InvalidRollout, Kind, RolloutInput, earlier, plan

A, B, C = (f"arn:aws:sagemaker:us-east-1:123456789012:model-package/reviewloop-dev/{number}" for number in (1, 2, 3))
APPROVED = dict.fromkeys((A, B, C), "Approved")


def test_before_the_first_release_both_are_released_as_they_are() -> None:
    planned = plan(Release(A, B), EMPTY_RELEASE, APPROVED)
    assert (planned.kind, planned.target, planned.withdrawn) == (Kind.FIRST, Release(A, B), EMPTY_RELEASE)


@pytest.mark.parametrize("running", [Release(A, A), Release(A, C)])
def test_a_new_challenger_is_an_experiment_with_a_way_forth_and_back(running: Release) -> None:
    planned = plan(Release(A, B), running, APPROVED)
    assert planned.kind is Kind.EXPERIMENT
    assert planned.as_json() == {"kind": "experiment", "target": f"{A},{B}", "promoted": f"{B},{B}", "withdrawn": f"{A},{A}"}


def test_what_serves_already_is_left_alone() -> None:
    assert plan(Release(A, B), Release(A, B), APPROVED).kind is Kind.UNCHANGED


@pytest.mark.parametrize(
    ("wanted", "running", "approval", "message"),
    [
        (Release(B, C), Release(A, A), APPROVED, f"champion {B} is not the running champion {A}"),
        (Release(A, A), Release(A, B), APPROVED, "is the running champion itself"),
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
    ],
)
def test_a_bad_input_is_refused_by_field(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRollout, match=message):
        RolloutInput.parse(raw)


def test_the_parents_execution_id_is_no_unknown_field() -> None:
    read = RolloutInput.parse({"champion": A, "challenger": B, "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn"})
    assert read == RolloutInput(Release(A, B), "started by hand")


def execution(name: str, minute: int) -> dict[str, Any]:
    start = datetime(2026, 11, 24, tzinfo=UTC) + timedelta(minutes=minute)
    return {"executionArn": f"arn:{name}", "name": name, "startDate": start}


def test_of_several_rollouts_exactly_the_first_goes_on() -> None:
    running = [execution("b", 1), execution("a", 1), execution("c", 0)]
    assert [name for name in "abc" if earlier(running, f"arn:{name}") is None] == ["c"]
    together = [execution("b", 1), execution("a", 1)]
    assert [name for name in "ab" if earlier(together, f"arn:{name}") is None] == ["a"]
    assert earlier([execution("a", 0)], "arn:not-listed-yet") == "a"
