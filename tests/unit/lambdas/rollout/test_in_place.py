"""The record names the wanted champion alone: the endpoint says whether there is something to do, one row per state of it."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.common.release import EMPTY_RELEASE, Release
from lambdas.rollout.endpoint import EndpointUpdating
from lambdas.rollout.plan_rollout.in_place import completed
from lambdas.rollout.plan_rollout.plan import InvalidRollout, Kind

A, B, C = (f"arn:aws:sagemaker:us-east-1:123456789012:model-package/reviewloop-dev/{number}" for number in (1, 2, 3))
RECORD = Release(B, B)


def endpoint(status: str, challenger: float = 0.0) -> dict[str, Any]:
    weights = {"champion": 1 - challenger, "challenger": challenger}
    variants = [{"VariantName": name, "CurrentWeight": weight} for name, weight in weights.items()]
    return {"EndpointName": "e", "EndpointStatus": status, "ProductionVariants": variants}


@pytest.mark.parametrize(
    ("found", "runs", "share", "kind", "back_to"),
    [
        ("as it should be", (B, B), 0.0, Kind.UNCHANGED, B),
        ("callers at the challenger", (B, B), 0.5, Kind.REPLACEMENT, B),
        ("all callers at the challenger", (B, B), 1.0, Kind.REPLACEMENT, B),
        ("an experiment's models", (A, B), 0.5, Kind.REPLACEMENT, A),
        ("an experiment's models, no callers", (A, B), 0.0, Kind.REPLACEMENT, A),
        ("the old model alone", (A, A), 0.0, Kind.REPLACEMENT, A),
        ("another challenger, no callers", (B, C), 0.0, Kind.REPLACEMENT, B),
        ("a model without a package", ("s3://a/b", B), 0.0, Kind.REPLACEMENT, B),
    ],
)
def test_there_is_nothing_to_do_only_if_the_endpoint_runs_the_record(
    found: str, runs: tuple[str, str], share: float, kind: Kind, back_to: str
) -> None:
    """``runs``: champion and challenger. ``back_to``: what serves when the replacement fails."""
    planned = completed(RECORD, endpoint("InService", share), dict(zip(("champion", "challenger"), runs, strict=True)))
    assert (planned.kind, planned.target, planned.promoted, planned.withdrawn) == (kind, RECORD, RECORD, Release(back_to, back_to)), found


def test_what_cannot_be_read_is_replaced() -> None:
    assert completed(RECORD, endpoint("InService"), {}).kind is Kind.REPLACEMENT


@pytest.mark.parametrize("status", ["UpdateRollbackFailed", "SomethingNew"])
def test_an_endpoint_that_may_still_serve_is_neither_changed_nor_made_anew(status: str) -> None:
    with pytest.raises(InvalidRollout, match=f"endpoint e is {status}: no reason given. It may still serve"):
        completed(RECORD, endpoint(status), {"champion": B, "challenger": B})


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_that_changes_is_asked_again(status: str) -> None:
    with pytest.raises(EndpointUpdating, match=f"e is {status}"):
        completed(RECORD, {"EndpointName": "e", "EndpointStatus": status}, {})


@pytest.mark.parametrize("status", ["Failed", "OutOfService"])
def test_an_endpoint_that_takes_no_update_is_made_anew(status: str) -> None:
    planned = completed(RECORD, {"EndpointName": "e", "EndpointStatus": status}, {"champion": B, "challenger": B})
    assert (planned.kind, planned.target, planned.withdrawn) == (Kind.REBUILD, RECORD, EMPTY_RELEASE)


def test_without_an_endpoint_it_is_a_first_release() -> None:
    planned = completed(RECORD, None, {})
    assert (planned.kind, planned.target, planned.withdrawn) == (Kind.FIRST, RECORD, EMPTY_RELEASE)
