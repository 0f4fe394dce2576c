"""One call of the judge: what it reads for each policy, and what the state machine gets back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.common.pairs import Pairs, Slot
from lambdas.common.rollout_control import RolloutControl
from lambdas.rollout.judge_rollout import handler as entry
from lambdas.rollout.judge_rollout import published
from lambdas.rollout.progress import Approval, Progress, RolloutPolicy, WeightChange

ENOUGH = Pairs((Slot("2026-01-01T10:00:00", agreed=400),))
STARTED = datetime.now(UTC).isoformat(timespec="milliseconds")
CANARY = replace(Progress.begin(0.1, STARTED), weights=(WeightChange(STARTED, 0.9, 0.1),))


class CloudWatch:
    """Without a point, and with the named alarms."""

    def __init__(self, *ringing: str) -> None:
        self._ringing = ringing

    def get_paginator(self, _: str) -> CloudWatch:
        return self

    def paginate(self, **_: Any) -> list[Any]:
        return []

    def describe_alarms(self, *, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"MetricAlarms": [{"AlarmName": name} for name in self._ringing if name in AlarmNames]}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls the function for the execution ``run-1``; the answer has gone through JSON."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "judge-rollout")
    environment = entry.Environment(
        endpoint_name="e", predictions_table="p", pairs_table="q", control_parameter="/control",
        champion_alarms=("champion-errors",), challenger_alarms=("challenger-errors",), weight_steps=("0.1", "0.5"),
        margin=0.05, error=0.05, at_end="keep_champion", max_holds=100, min_invocations=1, max_error_rate=0.05,
        max_latency_ratio=2.0, max_confidence_loss=0.2,
    )  # fmt: skip
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    monkeypatch.setattr(entry.published_metrics, "namespace", "Test")
    monkeypatch.setattr(entry.published_metrics, "service", "judge-rollout")

    def call(progress: Progress, *, pairs: Pairs = ENOUGH, control: str = "none", ringing: tuple[str, ...] = ()) -> dict[str, Any]:
        ssm = SimpleNamespace(get_parameter=lambda Name: {"Parameter": {"Value": {"/control": control}[Name]}})  # noqa: N803
        monkeypatch.setattr(entry, "client", {"ssm": ssm, "cloudwatch": CloudWatch(*ringing)}.__getitem__)
        monkeypatch.setattr(entry, "_store", lambda: SimpleNamespace(read={"run-1": pairs}.__getitem__))
        context = SimpleNamespace(
            function_name="judge-rollout", memory_limit_in_mb=128, invoked_function_arn="arn:aws:lambda:x", aws_request_id="r"
        )
        answer: dict[str, Any] = json.loads(json.dumps(entry.handler({"rollout": "run-1", "progress": progress.as_json()}, context)))
        return answer

    return call


def test_a_look_is_published_with_its_evidence_interval_pairs_share_and_guardrails(judged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = judged(CANARY, ringing=("challenger-errors",))["evidence"]
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert line["service"] == "judge-rollout"
    assert {name: line[name] for name in ("ChallengerShare", "EvidenceForChallenger", "EvidenceThreshold", "PairsScored")} == {
        "ChallengerShare": [10.0], "EvidenceForChallenger": [evidence["e_promote"]], "EvidenceThreshold": [20.0], "PairsScored": [400.0],
    }  # fmt: skip
    assert [line["DifferenceLow"], line["DifferenceHigh"]] == [[pytest.approx(100 * end)] for end in evidence["interval"]]
    assert (line["GuardrailAlarms"], line["GuardrailSampleRatio"]) == ([1.0], [pytest.approx(1 / 80)])


def test_a_switch_without_pairs_publishes_its_share_and_guardrails_only(judged: Any, capsys: pytest.CaptureFixture[str]) -> None:
    judged(replace(CANARY, policy=RolloutPolicy.BLUE_GREEN))
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    names = {name for name, value in line.items() if isinstance(value, list)}
    assert names == {"ChallengerShare", *published.GUARDRAILS.values()}


def test_the_pairs_of_the_execution_decide(judged: Any) -> None:
    found = judged(CANARY)
    assert (found["decision"], found["progress"]) == ("promote", CANARY.as_json())
    assert (found["evidence"]["pairs"], found["evidence"]["read"]) == (400, 400)
    assert found["evidence"]["e_promote"] > 20


@pytest.mark.parametrize(
    ("told", "decision"),
    [
        ("none", "await_approval"),
        (RolloutControl("run-1", approved=True, by="ana").format(), "promote"),
        (RolloutControl("another", approved=True, by="ana").format(), "await_approval"),
        (RolloutControl("run-1", paused=True, approved=True).format(), "hold"),
        ("not a record", "hold"),
    ],
)
def test_what_people_told_this_rollout_counts(judged: Any, told: str, decision: str) -> None:
    assert judged(replace(CANARY, approval=Approval.MANUAL), control=told)["decision"] == decision


@pytest.mark.parametrize(
    ("policy", "ringing", "decision"),
    [
        (RolloutPolicy.CANARY, "challenger-errors", "roll_back"),
        (RolloutPolicy.CANARY, "champion-errors", "promote"),
        (RolloutPolicy.BLUE_GREEN, "champion-errors", "roll_back"),
        (RolloutPolicy.BLUE_GREEN, "challenger-errors", "promote"),
    ],
)
def test_the_alarms_of_the_variant_that_runs_the_new_model_end_it(judged: Any, policy: RolloutPolicy, ringing: str, decision: str) -> None:
    assert judged(replace(CANARY, policy=policy), ringing=(ringing,))["decision"] == decision


def test_the_state_machine_hears_how_the_callers_are_taken_back(judged: Any) -> None:
    assert judged(CANARY, ringing=("challenger-errors",))["take_back"] == "at_once"
    assert judged(CANARY)["take_back"] == "instances_first"


def test_before_a_switch_the_alarms_of_the_old_champion_do_not_count(judged: Any) -> None:
    before = replace(CANARY, policy=RolloutPolicy.BLUE_GREEN, approval=Approval.MANUAL, weights=())
    approved = RolloutControl("run-1", approved=True, by="ana").format()
    assert judged(before, ringing=("champion-errors",))["decision"] == "await_approval"
    assert judged(before, ringing=("champion-errors",), control=approved)["decision"] == "promote"


def test_after_the_deadline_a_rollout_without_evidence_ends(judged: Any) -> None:
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat(timespec="milliseconds")
    assert judged(replace(CANARY, deadline=past), pairs=Pairs())["decision"] == "inconclusive"
