"""A rollout as its history tells it: recorded histories of the embedded AWS (without the polls of a fleet shift), and made ones."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli.execution_history import message_of
from cli.exit_codes import ExitCode
from cli.release import page, view
from cli.release.evidence import Evidence, nearness
from cli.release.history import Rollout
from lambdas.rollout.judge_rollout.guardrails import Calls, Operation
from lambdas.rollout.judge_rollout.pairs_read import PairsRead, Tally
from lambdas.rollout.judge_rollout.policy import AtEnd, Policy, evidence_as_json, judge
from lambdas.rollout.judge_rollout.policy import Evidence as JudgeEvidence
from lambdas.rollout.progress import Progress

RECORDED = Path(__file__).parent / "histories"
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
GROUP = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/reviewloop-dev"


def recorded(name: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return events


def rollout_of(name: str) -> Rollout:
    return Rollout.read(name, recorded(name))


POLICY = Policy(
    weight_steps=(0.1, 0.5), margin=0.05, error=0.05, at_end=AtEnd.KEEP_CHAMPION, max_holds=144, min_invocations=50, max_error_rate=0.05,
    max_latency_ratio=2.0, max_confidence_loss=0.2,
)  # fmt: skip
OF_THE_JUDGE = JudgeEvidence(
    PairsRead(Tally(9, 4, 790), agreed=790, differ=22, labelled=18, waiting=3, undecided=1, missed={"late": 2}),
    Operation(Calls(900, 2), Calls(100, 0)),
)


def evidence(**others: Any) -> dict[str, Any]:
    """A verdict's evidence: what the judge itself writes, with round numbers in place of the computed ones."""
    progress = Progress.begin(0.1, BEGAN.isoformat())
    written = evidence_as_json(OF_THE_JUDGE, judge(OF_THE_JUDGE, progress, POLICY, BEGAN), progress, POLICY)
    return {**written, "e_promote": 4.2, "e_roll_back": 0.31, "interval": [-0.012, 0.045], "labels_needed": 12, **others}


class Told:
    """A history that a test writes state by state; a minute passes between two events."""

    def __init__(self, **content: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.state: dict[str, Any] = {}
        self._add("ExecutionStarted", executionStartedEventDetails={"input": json.dumps(content)})

    def _add(self, kind: str, **details: Any) -> None:
        at = BEGAN + timedelta(minutes=len(self.events))
        self.events.append({"id": len(self.events) + 1, "type": kind, "timestamp": at, **details})

    def enter(self, name: str, kind: str = "Task") -> Told:
        self._add(f"{kind}StateEntered", stateEnteredEventDetails={"name": name})
        return self

    def leave(self, name: str, **state: Any) -> Told:
        self.state |= state
        self._add("TaskStateExited", stateExitedEventDetails={"name": name, "output": json.dumps(self.state)})
        return self

    def look(self, decision: str, reason: str, **others: Any) -> Told:
        return self.enter("Judge").leave("Judge", verdict={"decision": decision, "reason": reason, "evidence": evidence(**others)})

    def end(self, kind: str, **details: Any) -> Told:
        name = f"{kind[0].lower()}{kind[1:]}EventDetails"
        self._add(kind, **{name: details})
        return self

    @property
    def rollout(self) -> Rollout:
        return Rollout.read("7-20260301-120000", self.events)


def told(*, policy: str = "canary") -> Told:
    progress = {
        "step": 0, "share": 0.1, "started": "2026-03-01T12:02:00.000+00:00", "since": "2026-03-01T12:02:00.000+00:00",
        "deadline": "2026-03-02T12:02:00.000+00:00", "policy": policy, "approval": "manual",
        "weights": [{"at": "2026-03-01T12:02:00.000+00:00", "champion": 0.9, "challenger": 0.1}],
    }  # fmt: skip
    plan = {"kind": "experiment", "target": f"{GROUP}/6,{GROUP}/7", "reason": "more labels"}
    story = Told(champion=f"{GROUP}/6", challenger=f"{GROUP}/7", reason="more labels")
    return story.enter("Plan").leave("Plan", plan=plan, progress=progress)


# -- recorded ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "outcome", "code", "decisions", "why"),
    [
        ("promoted", "promoted", ExitCode.DONE, ["advance", "promote"], "0 of 50 calls failed"),
        ("rolled_back", "rolled_back", ExitCode.ROLLED_BACK, ["roll_back"], "went into ALARM state during the deployment"),
        ("inconclusive", "inconclusive", ExitCode.INCONCLUSIVE, ["hold", "hold", "inconclusive"], "0 calls of the challenger"),
        ("withdrawn", "withdrawn", ExitCode.WITHDRAWN, ["withdraw"], "goes on alone"),
        ("aborted", "stopped", ExitCode.WITHDRAWN, [], "somebody"),
        ("refused", "refused", ExitCode.REFUSED, [], "releases nothing: give the ARN"),
    ],
)
def test_a_recorded_history_tells_how_the_rollout_ended(name: str, outcome: str, code: int, decisions: list[str], why: str) -> None:
    rollout = rollout_of(name)
    assert (rollout.outcome, rollout.exit_code) == (outcome, code)
    assert [one.decision for one in rollout.decisions] == decisions
    assert why in rollout.why
    assert rollout.ended is not None
    assert not rollout.runs


def test_weights_and_the_share_of_each_look_come_from_the_history() -> None:
    rollout = rollout_of("promoted")
    assert [change.challenger for change in rollout.weights] == [0.2, 0.5, 0.0]
    assert [(one.look, one.share) for one in rollout.looks] == [(1, 0.2), (2, 0.5)]
    assert rollout.challenger == "arn:aws:sagemaker:us-east-1:000000000000:model-package/reviewloop-dev/5"


def test_a_decision_of_an_error_is_no_look() -> None:
    (decision,) = rollout_of("rolled_back").decisions
    assert decision.look is None


def test_a_history_of_an_earlier_judge_has_no_paired_evidence_and_stays_readable() -> None:
    rollout = rollout_of("inconclusive")
    assert not any(one.evidence.has_pairs for one in rollout.decisions)
    assert rollout.policy is None
    assert "The verdicts are of an earlier kind" in page.without_pairs(rollout)
    assert "0 calls of the challenger at 20.0 %" in shown(view.explained(rollout))


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDED.glob("*.json")))
def test_reading_a_history_piece_by_piece_gives_the_same(name: str) -> None:
    rollout = Rollout(name)
    for event in recorded(name):
        rollout = rollout.after([event])
    assert rollout == rollout_of(name)


# -- told --------------------------------------------------------------------------------------------


def test_a_running_rollout_says_what_it_is_at_and_what_it_knows() -> None:
    rollout = told().look("hold", "the evidence is thin").leave("NoteVerdict").enter("WaitStep", "Wait").rollout
    assert (rollout.outcome, rollout.doing) == ("running", "collecting evidence")
    assert (rollout.policy, rollout.approval) == ("canary", "manual")
    assert rollout.deadline == datetime(2026, 3, 2, 12, 2, tzinfo=UTC)
    assert len(rollout.decisions) == 1, "a verdict that a later state hands on is no second decision"
    assert rollout.evidence == Evidence.parse(evidence())


def test_two_holds_for_the_same_reason_are_two_looks() -> None:
    rollout = told().look("hold", "waiting").look("hold", "waiting").rollout
    assert [one.look for one in rollout.decisions] == [1, 2]


def test_a_redriven_rollout_runs_again() -> None:
    story = told().end("ExecutionFailed", error="ReleaseNotInPlace", cause="the stack is stuck")
    assert (story.rollout.outcome, story.rollout.why) == ("failed", "ReleaseNotInPlace: the stack is stuck")
    assert story.end("ExecutionRedriven", redriveCount=1).rollout.outcome == "running"


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ('{"errorMessage": "no such package", "errorType": "InvalidRollout"}', "no such package"),
        ('{"Cause": "{\\"errorMessage\\": \\"inside\\"}", "Status": "FAILED"}', "inside"),
        ("plain words", "plain words"),
    ],
)
def test_the_message_is_found_in_a_cause(cause: str, said: str) -> None:
    assert message_of(cause) == said


@pytest.mark.parametrize("raw", [None, 3, [], {"pairs": "many", "interval": [1], "threshold": "high", "missed": 3, "e_promote": True}])
def test_evidence_of_another_form_is_not_known(raw: Any) -> None:
    assert Evidence.parse(raw) == Evidence()


def test_everything_that_is_shown_is_what_the_judge_writes() -> None:
    written = set(evidence())
    shown_fields = {one.name for one in fields(Evidence)} - {"thresholds"} | {"threshold", "margin"}
    assert shown_fields <= written
    read = Evidence.parse(evidence())
    assert (read.pairs, read.agreed, read.differ, read.labelled, read.better, read.worse) == (812, 790, 22, 18, 9, 4)
    assert (read.thresholds.promote, read.missed) == (20.0, {"late": 2})


def test_nearness_is_logarithmic_from_one() -> None:
    assert [nearness(value, 100.0) for value in (0.5, 1.0, 10.0, 100.0, 1e6, None)] == [0.0, 0.0, pytest.approx(0.5), 1.0, 1.0, None]


def test_thresholds_may_differ() -> None:
    thresholds = Evidence.parse(evidence(threshold={"promote": 20, "roll_back": 40})).thresholds
    assert (thresholds.promote, thresholds.roll_back) == (20.0, 40.0)


# -- what is shown -------------------------------------------------------------------------------------


def test_news_are_told_once_and_the_end_is_last() -> None:
    story = told().look("hold", "waiting").end("ExecutionSucceeded", output=json.dumps({"outcome": "rolled_back", "reason": "worse"}))
    before, kinds = Rollout("7-20260301-120000"), list[str]()
    for event in story.events:
        now = before.after([event])
        kinds += [one["event"] for one in view.news(before, now) if one["event"] != "doing"]
        before = now
    assert kinds == ["weights", "decision", "end"]
    assert list(view.news(before, before)) == []


def test_a_line_of_the_log_has_the_numbers() -> None:
    (decision,) = [one for one in view.news(told().rollout, told().look("hold", "thin").rollout) if one["event"] == "decision"]
    said = view.line(decision)
    assert "hold: thin [812 pairs, 22 differ, 18 labelled, e for it 4.2 of 20, e against it 0.31 of 20" in said
    assert "difference -1.2 to +4.5 points" in said


def shown(what: Any) -> str:
    console = Console(width=150)
    with console.capture() as captured:
        console.print(what)
    return captured.get()


def test_the_live_view_has_share_pairs_e_values_interval_and_labels_needed() -> None:
    said = shown(view.live(told().look("hold", "thin").enter("WaitStep", "Wait").rollout, BEGAN + timedelta(minutes=20)))
    for words in ("collecting evidence", "10 % to the challenger", "4.2 of 20", "0.31 of 20", "-1.2 to +4.5 points",
                  "812 scored, 22 differ", "labels still needed: 12", "better 9, worse 4", "not scored: 2 late",
                  "decided within 24.0 h", "hold: thin"):  # fmt: skip
        assert words in said, words


def test_what_a_verdict_lacks_is_not_known() -> None:
    said = shown(view.live(told().look("hold", "thin", e_promote=None, interval=None, labels_needed=None).rollout, BEGAN))
    assert said.count("not known") >= 3


def test_the_page_shows_every_decision_both_e_values_the_interval_and_the_guardrails_without_another_file() -> None:
    story = told().look("advance", "quiet <so far>").look("promote", "a loss is refuted", e_promote=23.0, differ=40, labelled=40)
    html = page.page(story.end("ExecutionSucceeded", output=json.dumps({"outcome": "promoted", "reason": "a loss is refuted"})).rollout)
    assert html.count("<svg ") == 4
    for words in (
        "Evidence for the challenger: 23 (20 decides)",
        "40 of 812 pairs differ; people judged 40",
        "Quiet &lt;so far&gt;",
        "sample ratio",
        "A loss is refuted",
    ):
        assert words in html, words
    assert "<so far>" not in html
    loads = [word for word in ("src=", "@import", "url(http", "<script", "<link") if word in html]
    assert loads == []


def test_the_page_of_a_blue_green_rollout_says_that_nothing_was_compared() -> None:
    story = told(policy="blue_green").enter("Watch").leave("Watch", verdict={"decision": "promote", "reason": "quiet", "evidence": {}})
    assert [one.look for one in story.rollout.looks] == [1]
    assert "A blue/green rollout compares nothing" in page.without_pairs(story.rollout)
    assert page.without_pairs(told().look("hold", "thin").rollout) == ""


def test_a_document_has_every_field_and_json_values_alone() -> None:
    document = view.document(told().look("hold", "thin").rollout)
    assert json.loads(json.dumps(document)) == document
    assert document["decisions"][0]["evidence"]["e_promote"] == 4.2
    assert document["exit_code"] is None


def test_a_list_of_rollouts_keeps_names_whole_and_reasons_apart() -> None:
    rows = [view.history_row(rollout_of("promoted")), view.history_row(told().rollout)]
    assert list(view.history_lines(rows)) == [
        "promoted           2026-11-29 08:30  33 s  reviewloop-dev/5  promoted",
        f"    {rollout_of('promoted').why}",
        "7-20260301-120000  2026-03-01 12:00  -     reviewloop-dev/7  running",
    ]
    assert list(view.history_lines([])) == []
