"""The end of a rollout: what it tells, and that it clears its own control record and no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.common.rollout_control import NONE, RolloutControl
from lambdas.rollout.finish_rollout import handler as entry
from lambdas.rollout.progress import Progress

CONTEXT = SimpleNamespace(function_name="f", memory_limit_in_mb=1, invoked_function_arn="a", aws_request_id="r")
PROGRESS = Progress.begin(0.1, "2026-11-24T10:00:00.000+00:00").shifted(0.1, "2026-11-24T10:05:00.000+00:00")
EVENT = {
    "rollout": "r-1", "outcome": "rolled_back", "reason": "too slow", "release": "a,a", "progress": PROGRESS.as_json(),
    "verdict": {"decision": "roll_back", "reason": "too slow", "evidence": {"pairs": 400}},
}  # fmt: skip


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    client = boto3.client("ssm", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(entry, "client", lambda service: client)
    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("/rollout-control", "/experiment"))
    monkeypatch.setattr(entry.metrics.provider, "namespace", "test")
    stub = Stubber(client)
    stub.activate()
    return stub


def finished(ssm: Stubber, record: str) -> dict[str, Any]:
    ssm.add_response("get_parameter", {"Parameter": {"Value": NONE}}, {"Name": "/experiment"})
    ssm.add_response("get_parameter", {"Parameter": {"Value": record}}, {"Name": "/rollout-control"})
    told: dict[str, Any] = entry.handler(EVENT, CONTEXT)
    ssm.assert_no_pending_responses()
    return told


def test_the_outcome_is_told_with_its_reason_and_every_weight(ssm: Stubber) -> None:
    told = finished(ssm, NONE)
    weights = [{"at": "2026-11-24T10:05:00.000+00:00", "champion": 0.9, "challenger": 0.1}]
    assert told == {"outcome": "rolled_back", "reason": "too slow", "release": "a,a", "weights": weights, "evidence": {"pairs": 400}}


@pytest.mark.parametrize("record", [RolloutControl("r-2", paused=True).format(), "{"])
def test_a_control_record_that_is_not_its_own_stays(ssm: Stubber, record: str) -> None:
    assert finished(ssm, record)["outcome"] == "rolled_back"


def test_its_own_control_record_and_the_experiment_are_cleared(ssm: Stubber) -> None:
    record = RolloutControl("r-1", paused=True).format()
    ssm.add_response("get_parameter", {"Parameter": {"Value": "{}"}}, {"Name": "/experiment"})
    ssm.add_response("put_parameter", {"Version": 2}, {"Name": "/experiment", "Value": "none", "Overwrite": True})
    ssm.add_response("get_parameter", {"Parameter": {"Value": record}}, {"Name": "/rollout-control"})
    ssm.add_response("put_parameter", {"Version": 2}, {"Name": "/rollout-control", "Value": NONE, "Overwrite": True})
    entry.handler(EVENT, CONTEXT)
    ssm.assert_no_pending_responses()
