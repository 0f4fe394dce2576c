"""The judge's rules, a row a case: what is known at one look in, decision and reason out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lambdas.rollout.judge_rollout.guardrails import Calls, Operation
from lambdas.rollout.judge_rollout.pairs_read import PairsRead, Tally
from lambdas.rollout.judge_rollout.policy import AtEnd, Decision, Evidence, Policy, TakeBack, evidence_as_json, judge
from lambdas.rollout.judge_rollout.progress import after
from lambdas.rollout.progress import Approval, Progress, RolloutPolicy, WeightChange

POLICY = Policy(
    weight_steps=(0.1, 0.5),
    margin=0.05,
    error=0.05,
    at_end=AtEnd.KEEP_CHAMPION,
    max_holds=144,
    min_invocations=50,
    max_error_rate=0.05,
    max_latency_ratio=2.0,
    max_confidence_loss=0.2,
)
EQUIVALENT = replace(POLICY, at_end=AtEnd.PROMOTE_IF_EQUIVALENT)
START = "2026-11-24T10:00:00.000+00:00"
NOW, DEADLINE = datetime(2026, 11, 24, 18, tzinfo=UTC), datetime(2026, 11, 25, 10, tzinfo=UTC)
FIRST = replace(Progress.begin(0.1, START), weights=(WeightChange(START, 0.9, 0.1),))
LAST = replace(FIRST, step=1, share=0.5)
SHADOW = replace(Progress.begin(0.0, START, policy=RolloutPolicy.SHADOW), weights=(WeightChange(START, 1.0, 0.0),))
BLUE_GREEN = Progress.begin(0.0, START, policy=RolloutPolicy.BLUE_GREEN)
MANUAL = replace(SHADOW, approval=Approval.MANUAL)
BLUE_MANUAL = replace(BLUE_GREEN, approval=Approval.MANUAL)

WELL = Operation(Calls(500, 2), Calls(60, 0))
NOTHING: dict[str, Any] = {"operation": WELL}


def people(better: int, worse: int, even: int, **others: Any) -> PairsRead:
    """As many pairs of each score, all of them answered; ``even`` are pairs of equal labels."""
    tally = Tally(better, worse, even, lost=others.pop("lost_read", 0))
    counts = {"agreed": even, "differ": better + worse, "labelled": better + worse, **others}
    return PairsRead(tally, **counts)


LITTLE = people(3, 2, 100)
"""The evidence against a loss of 5 points is 8: enough for the second of two steps, which 4.5 gives, and not for 20."""
GOOD = people(12, 11, 400)
"""A loss of 5 points is refuted."""
BAD = people(3, 18, 120)
"""A loss is sure."""
MAYBE_BAD = people(1, 9, 60)
SOMEWHAT = people(17, 18, 260)
"""A loss of 10 points is refuted, and one of 5 is not."""


def calls(minutes: int, champion: int, challenger: int, first: int = 0, suffix: str = "") -> dict[str, dict[str, int]]:
    """Ten seconds of each minute from 10:00 on."""
    found = {f"champion{suffix}": champion, f"challenger{suffix}": challenger}
    return {f"2026-11-24T{10 + minute // 60}:{minute % 60:02d}:00": found for minute in range(first, first + minutes)}


def slow(minutes: int, slow_ones: int) -> list[tuple[float, float]]:
    return [(10.0, 30.0 if minute < slow_ones else 15.0) for minute in range(minutes)]


CASES = [
    # -- what people say --
    ("nothing is known in the shadow", {**NOTHING}, SHADOW, Decision.HOLD, "evidence 1 of a loss, 1 against one of 5.0 points"),
    ("a little is known", {**NOTHING, "pairs": LITTLE}, SHADOW, Decision.HOLD, "5 labels, 0 waiting, about"),
    (
        "a loss is sure after a task that nobody answers, and before it one of the margin was refuted",
        {**NOTHING, "pairs": replace(GOOD, beyond=(Tally(12, 32, 910, lost=1),))},
        SHADOW,
        Decision.ROLL_BACK,
        "alone on 32 of 955 texts",
    ),
    (
        "the same, and it was approved before the loss was sure",
        {**NOTHING, "approved": True, "pairs": replace(GOOD, beyond=(Tally(12, 32, 910, lost=1),))},
        MANUAL,
        Decision.ROLL_BACK,
        "the challenger is worse",
    ),
    (
        "a canary whose newer pairs speak for a loss",
        {**NOTHING, "pairs": replace(LITTLE, beyond=(Tally(3, 16, 110, lost=1),))},
        FIRST,
        Decision.HOLD,
        "more speaks for a loss",
    ),
    (
        "a canary whose first pairs speak for a loss, and all of them against one",
        {**NOTHING, "pairs": replace(people(0, 4, 20), beyond=(Tally(9, 9, 200, lost=1),))},
        FIRST,
        Decision.ADVANCE,
        "",
    ),
    ("a loss of the margin is refuted", {**NOTHING, "pairs": GOOD}, SHADOW, Decision.PROMOTE, "a loss of 5.0 points is refuted"),
    ("the same at the first step of a canary", {**NOTHING, "pairs": GOOD}, FIRST, Decision.PROMOTE, "challenger alone on 12 and with"),
    ("a loss is sure", {**NOTHING, "pairs": BAD}, SHADOW, Decision.ROLL_BACK, "the challenger is worse: people agree with the challenger"),
    ("a loss is sure in the canary", {**NOTHING, "pairs": BAD}, LAST, Decision.ROLL_BACK, "champion alone on 18 of 141 texts"),
    ("the reason has the interval", {**NOTHING, "pairs": BAD}, SHADOW, Decision.ROLL_BACK, "the difference is -"),
    (
        "a loss is sure and less than the margin: it is a loss",
        {**NOTHING, "pairs": people(900, 1_200, 20_000)},
        SHADOW,
        Decision.ROLL_BACK,
        "the challenger is worse",
    ),
    ("many equal answers and no label", {**NOTHING, "pairs": people(0, 0, 200)}, SHADOW, Decision.PROMOTE, "0 labels"),
    (
        "waiting pairs are told",
        {**NOTHING, "pairs": replace(GOOD, waiting=4, undecided=2, lost=1)},
        SHADOW,
        Decision.PROMOTE,
        "23 labels, 4 waiting, 2 undecided, 1 unanswered",
    ),
    (
        "reviewers absent: what nobody answered speaks against both",
        {**NOTHING, "pairs": people(0, 0, 400, lost_read=60, differ=60, labelled=0, lost=60)},
        SHADOW,
        Decision.HOLD,
        "0 labels",
    ),
    (
        "reviewers absent until the end",
        {**NOTHING, "pairs": people(0, 0, 400, lost_read=60, differ=60, labelled=0, lost=60), "now": DEADLINE},
        SHADOW,
        Decision.INCONCLUSIVE,
        "60 unanswered",
    ),
    ("all labels wait", {**NOTHING, "pairs": PairsRead(differ=30, waiting=30)}, SHADOW, Decision.HOLD, "0 labels, 30 waiting"),
    (
        "the queue of copies was down for an hour: what was missed decides nothing",
        {**NOTHING, "pairs": replace(LITTLE, missed={"late": 5_000})},
        SHADOW,
        Decision.HOLD,
        "5 labels",
    ),
    (
        "the budget is spent: the rest of the day is not compared",
        {**NOTHING, "pairs": replace(LITTLE, missed={"over_budget": 5_000})},
        LAST,
        Decision.HOLD,
        "5 labels",
    ),
    # -- steps of a canary --
    ("the next step", {**NOTHING, "pairs": LITTLE}, FIRST, Decision.ADVANCE, "decides"),
    ("no larger share without a label", {**NOTHING}, FIRST, Decision.HOLD, "from 4.47 on it gets a larger share"),
    ("some pairs are too few for the next step", {**NOTHING, "pairs": people(2, 3, 40)}, FIRST, Decision.HOLD, "a larger share"),
    ("the last step waits for evidence", {**NOTHING, "pairs": LITTLE}, LAST, Decision.HOLD, "decides"),
    ("it may be worse: no larger share", {**NOTHING, "pairs": MAYBE_BAD}, FIRST, Decision.HOLD, "a larger share"),
    ("no traffic", {"operation": Operation()}, FIRST, Decision.HOLD, "0 calls of the challenger at 10.0 %, 50 are needed"),
    ("little traffic", {"operation": Operation(Calls(500), Calls(49))}, FIRST, Decision.HOLD, "49 calls"),
    ("no traffic in the shadow", {"operation": Operation()}, SHADOW, Decision.HOLD, "0 labels"),
    ("no traffic until the end", {"operation": Operation(), "now": DEADLINE}, FIRST, Decision.INCONCLUSIVE, "the time is up"),
    # -- the end --
    ("one look before the end", {**NOTHING, "pairs": LITTLE, "now": DEADLINE.replace(hour=9)}, LAST, Decision.HOLD, "decides"),
    ("the end", {**NOTHING, "pairs": SOMEWHAT, "now": DEADLINE}, LAST, Decision.INCONCLUSIVE, "neither a loss nor one of 5.0 points"),
    ("the end with a verdict", {**NOTHING, "pairs": GOOD, "now": DEADLINE}, LAST, Decision.PROMOTE, "is refuted"),
    (
        "equivalent at the end",
        {**NOTHING, "pairs": SOMEWHAT, "now": DEADLINE, "policy": EQUIVALENT},
        LAST,
        Decision.PROMOTE,
        "a loss of 10.0 points is refuted, which counts as equivalent",
    ),
    (
        "as many looks as fit",
        {**NOTHING, "pairs": SOMEWHAT},
        replace(LAST, holds=144),
        Decision.INCONCLUSIVE,
        "the time is up: neither",
    ),
    (
        "equivalent at the end, though what came before a task that nobody answers speaks for a loss",
        {
            **NOTHING,
            "now": DEADLINE,
            "policy": replace(EQUIVALENT, margin=0.02),
            "pairs": replace(people(0, 3, 10), beyond=(Tally(33, 35, 600),)),
        },
        LAST,
        Decision.PROMOTE,
        "a loss of 4.0 points is refuted",
    ),
    ("equivalent, before the end", {**NOTHING, "pairs": SOMEWHAT, "policy": EQUIVALENT}, LAST, Decision.HOLD, "decides"),
    (
        "not shown to be equivalent at the end",
        {**NOTHING, "pairs": people(2, 3, 40), "now": DEADLINE, "policy": EQUIVALENT},
        LAST,
        Decision.INCONCLUSIVE,
        "the time is up",
    ),
    # -- approval and pause --
    ("a person must approve", {**NOTHING, "pairs": GOOD}, MANUAL, Decision.AWAIT_APPROVAL, "it waits for approval until 2026-11-25T10"),
    ("approved", {**NOTHING, "pairs": GOOD, "approved": True, "by": "ana"}, MANUAL, Decision.PROMOTE, "approved by ana"),
    ("approved without evidence", {**NOTHING, "pairs": LITTLE, "approved": True}, MANUAL, Decision.HOLD, "decides"),
    ("nobody approved", {**NOTHING, "pairs": GOOD, "now": DEADLINE}, MANUAL, Decision.INCONCLUSIVE, "but nobody approved in time"),
    (
        "equivalent at the end, and nobody approved",
        {**NOTHING, "pairs": SOMEWHAT, "now": DEADLINE, "policy": EQUIVALENT},
        MANUAL,
        Decision.INCONCLUSIVE,
        "nobody approved",
    ),
    ("worse while it waits for approval", {**NOTHING, "pairs": BAD, "approved": True}, MANUAL, Decision.ROLL_BACK, "worse"),
    ("paused", {**NOTHING, "pairs": GOOD, "paused": True, "by": "ana"}, LAST, Decision.HOLD, "paused by ana"),
    ("paused and worse", {**NOTHING, "pairs": BAD, "paused": True}, LAST, Decision.HOLD, "paused by somebody without a name"),
    ("paused over the end", {**NOTHING, "paused": True, "by": "ana", "now": DEADLINE}, LAST, Decision.INCONCLUSIVE, "was paused by ana"),
    ("paused, and an alarm", {"operation": replace(WELL, alarms=("x",)), "paused": True}, LAST, Decision.ROLL_BACK, "x in ALARM"),
    (
        "paused, and failures",
        {"operation": replace(WELL, challenger=Calls(60, 30)), "paused": True},
        LAST,
        Decision.ROLL_BACK,
        "30 of 60 calls",
    ),
    ("paused, and slow", {"operation": replace(WELL, latencies=slow(30, 30)), "paused": True}, LAST, Decision.HOLD, "paused"),
    # -- guardrails --
    ("an alarm in the canary", {"operation": replace(WELL, alarms=("a", "b"))}, FIRST, Decision.ROLL_BACK, "a, b in ALARM"),
    ("an alarm against good answers", {"operation": replace(WELL, alarms=("a",)), "pairs": GOOD}, LAST, Decision.ROLL_BACK, "a in ALARM"),
    (
        "only errors, as from a container that hangs",
        {"operation": Operation(Calls(500), Calls(50, 50))},
        FIRST,
        Decision.ROLL_BACK,
        "50 of 50 calls of the challenger failed (100.0 %)",
    ),
    ("failures beyond chance", {"operation": replace(WELL, challenger=Calls(60, 15))}, FIRST, Decision.ROLL_BACK, "5.0 % may fail"),
    (
        "failures that chance explains",
        {"operation": replace(WELL, challenger=Calls(60, 5)), "pairs": LITTLE},
        FIRST,
        Decision.ADVANCE,
        "decides",
    ),
    (
        "the champion fails as often",
        {"operation": Operation(Calls(500, 125), Calls(60, 15)), "pairs": LITTLE},
        FIRST,
        Decision.ADVANCE,
        "decides",
    ),
    (
        "the champion fails less",
        {"operation": Operation(Calls(500, 30), Calls(60, 25))},
        FIRST,
        Decision.ROLL_BACK,
        "5.0 % may fail, and 30 of 500 of the champion did (6.0 %)",
    ),
    (
        "no failure is allowed",
        {"operation": Operation(Calls(500), Calls(60, 5)), "policy": replace(POLICY, max_error_rate=0.0)},
        FIRST,
        Decision.ROLL_BACK,
        "5 of 60",
    ),
    (
        "no failure is allowed, and the only one may have met either variant",
        {"operation": Operation(Calls(500), Calls(60, 1)), "pairs": LITTLE, "policy": replace(POLICY, max_error_rate=0.0)},
        FIRST,
        Decision.ADVANCE,
        "decides",
    ),
    (
        "no failure is allowed, and nothing serves beside it",
        {"operation": Operation(challenger=Calls(60, 1)), "policy": replace(POLICY, max_error_rate=0.0)},
        BLUE_GREEN,
        Decision.ROLL_BACK,
        "1 of 60 calls of the challenger failed (1.7 %), 0.0 % may fail",
    ),
    (
        "it crashes, and by the weights the champion would have been met",
        {"operation": Operation(challenger=Calls(5, 5)), "pairs": LITTLE},
        FIRST,
        Decision.ROLL_BACK,
        "5 of 5",
    ),
    (
        "the same, where it may be chance that the champion was not met",
        {"operation": Operation(challenger=Calls(5, 5)), "pairs": LITTLE},
        LAST,
        Decision.HOLD,
        "decides",
    ),
    ("slow in every minute", {"operation": replace(WELL, latencies=slow(15, 15))}, FIRST, Decision.ROLL_BACK, "in 15 of 15 minutes"),
    (
        "slow in half of the minutes",
        {"operation": replace(WELL, latencies=slow(300, 150)), "pairs": LITTLE},
        FIRST,
        Decision.ADVANCE,
        "decides",
    ),
    ("slow in a few minutes only", {"operation": replace(WELL, latencies=slow(5, 5)), "pairs": LITTLE}, FIRST, Decision.ADVANCE, "decides"),
    (
        "unsure",
        {**NOTHING, "pairs": replace(LITTLE, doubts=(0.5,) * 40)},
        SHADOW,
        Decision.ROLL_BACK,
        "by 0.50; it may be less sure by 0.20",
    ),
    ("one label", {**NOTHING, "pairs": replace(LITTLE, labelled=1)}, SHADOW, Decision.HOLD, "1 label, 0 waiting"),
    ("as sure", {**NOTHING, "pairs": replace(LITTLE, doubts=(0.1, -0.1) * 200)}, SHADOW, Decision.HOLD, "decides"),
    # -- sample ratio --
    (
        "weights changed by hand",
        {**NOTHING, "pairs": replace(GOOD, calls=calls(20, 10, 10))},
        FIRST,
        Decision.INCONCLUSIVE,
        "answered 200 of 400 callers without a subject; by its weights it should be 40",
    ),
    (
        "the challenger loses calls",
        {**NOTHING, "pairs": replace(GOOD, calls=calls(120, 20, 0))},
        FIRST,
        Decision.INCONCLUSIVE,
        "0 of 2,400",
    ),
    (
        "the challenger answers in the shadow",
        {**NOTHING, "pairs": replace(LITTLE, calls=calls(9, 9, 3))},
        SHADOW,
        Decision.INCONCLUSIVE,
        "27",
    ),
    ("calls as the weights say", {**NOTHING, "pairs": replace(LITTLE, calls=calls(200, 18, 2))}, FIRST, Decision.ADVANCE, "decides"),
    (
        "subjects come in clusters: they are not counted",
        {**NOTHING, "pairs": replace(LITTLE, calls=calls(60, 0, 20, suffix="_by_subject"))},
        FIRST,
        Decision.ADVANCE,
        "decides",
    ),
    (
        "before the first share was live",
        {
            **NOTHING,
            "pairs": replace(LITTLE, calls=calls(60, 0, 20)),
        },
        replace(FIRST, weights=(WeightChange("2026-11-24T11:00:00+00:00", 0.9, 0.1),)),
        Decision.ADVANCE,
        "decides",
    ),
    (
        "while the weights change",
        {**NOTHING, "pairs": replace(LITTLE, calls={**calls(60, 18, 2), **calls(4, 10, 10, first=56), **calls(60, 10, 10, first=60)})},
        replace(LAST, weights=(*FIRST.weights, WeightChange("2026-11-24T11:00:00+00:00", 0.5, 0.5))),
        Decision.HOLD,
        "decides",
    ),
    (
        "sample ratio comes before an alarm",
        {"operation": replace(WELL, alarms=("a",)), "pairs": replace(LITTLE, calls=calls(20, 10, 10))},
        FIRST,
        Decision.INCONCLUSIVE,
        "find out who changed the weights",
    ),
    # -- blue/green --
    ("blue/green, well", {"operation": Operation(challenger=Calls(80, 1))}, BLUE_GREEN, Decision.PROMOTE, "1 of 80 calls failed"),
    ("blue/green without a call", {}, BLUE_GREEN, Decision.PROMOTE, "no alarm, and nobody called it"),
    ("an alarm in the bake", {"operation": Operation(alarms=("champion-errors",))}, BLUE_GREEN, Decision.ROLL_BACK, "champion-errors"),
    ("failures after the switch", {"operation": Operation(challenger=Calls(80, 40))}, BLUE_GREEN, Decision.ROLL_BACK, "40 of 80"),
    ("blue/green waits for approval", {}, BLUE_MANUAL, Decision.AWAIT_APPROVAL, "it waits for approval"),
    ("blue/green approved", {"approved": True, "by": "bo"}, BLUE_MANUAL, Decision.PROMOTE, "approved by bo"),
    ("blue/green not approved", {"now": DEADLINE}, BLUE_MANUAL, Decision.INCONCLUSIVE, "nobody approved"),
    ("blue/green paused", {"paused": True}, BLUE_GREEN, Decision.HOLD, "paused"),
]


@pytest.mark.parametrize(("known", "progress", "decision", "reason"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_verdict_follows_from_what_is_known(known: dict[str, Any], progress: Progress, decision: Decision, reason: str) -> None:
    now, policy = known.get("now", NOW), known.get("policy", POLICY)
    evidence = Evidence(**{name: value for name, value in known.items() if name not in ("now", "policy")})
    verdict = judge(evidence, progress, policy, now)
    assert verdict.decision is decision, verdict.reason
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("known", "progress", "decision", "take_back"),
    [
        ({"operation": replace(WELL, alarms=("a",)), "pairs": BAD}, LAST, Decision.ROLL_BACK, TakeBack.AT_ONCE),
        ({"operation": Operation(Calls(500), Calls(50, 50))}, FIRST, Decision.ROLL_BACK, TakeBack.AT_ONCE),
        ({"operation": WELL, "pairs": BAD}, LAST, Decision.ROLL_BACK, TakeBack.INSTANCES_FIRST),
        ({"operation": WELL, "now": DEADLINE}, LAST, Decision.INCONCLUSIVE, TakeBack.INSTANCES_FIRST),
    ],
    ids=["an alarm", "failures", "people's labels", "the deadline"],
)
def test_a_challenger_that_breaks_something_loses_its_callers_at_once(
    known: dict[str, Any], progress: Progress, decision: Decision, take_back: TakeBack
) -> None:
    evidence = Evidence(**{name: value for name, value in known.items() if name != "now"})
    verdict = judge(evidence, progress, POLICY, known.get("now", NOW))
    assert (verdict.decision, verdict.take_back) == (decision, take_back)


@pytest.mark.parametrize(
    ("pairs", "operation", "reasons"),
    [
        (
            PairsRead(),
            Operation(),
            (
                "no caller without a subject was answered yet while the weights were certain",
                "no alarm is in ALARM",
                "the challenger was not called yet, 5.0 % may fail",
                "there is no minute yet in which both variants were called",
                "no pair differs yet",
            ),
        ),
        (
            PairsRead(doubts=(-0.18,), calls=calls(1, 0, 1)),
            Operation(Calls(1, 0), Calls(1, 0), ((1.0, 1.0),)),
            (
                "the challenger answered 1 of 1 caller without a subject; by its weights it should be 0",
                "no alarm is in ALARM",
                "0 of 1 call of the challenger failed (0.0 %), 5.0 % may fail, and 0 of 1 of the champion did (0.0 %)",
                "in 0 of 1 minute the challenger took more than 2 times as long",
                "where the labels differ, the challenger is surer than the champion by 0.18; it may be less sure by 0.20",
            ),
        ),
    ],
)
def test_a_guardrail_says_what_it_knows_in_a_sentence(pairs: PairsRead, operation: Operation, reasons: tuple[str, ...]) -> None:
    rails = judge(Evidence(pairs, operation), FIRST, POLICY, NOW).guardrails
    assert tuple(one.reason for one in rails) == reasons


def test_the_guardrails_share_the_error_and_those_of_a_step_share_it_among_the_steps() -> None:
    found = {one.name.value: one.threshold for one in judge(Evidence(), FIRST, POLICY, NOW).guardrails}
    assert found == {"sample_ratio": 80, "alarms": None, "failures": 160, "latency": 160, "confidence": 80}
    assert sum(1 / at for at in (80, 160, 160, 160, 160, 80)) == pytest.approx(POLICY.error)


def test_the_evidence_of_a_verdict_has_the_documented_fields() -> None:
    evidence = Evidence(replace(GOOD, missed={"late": 2}), WELL, by="ana")
    found = evidence_as_json(evidence, judge(evidence, FIRST, POLICY, NOW), FIRST, POLICY)
    assert [found[name] for name in ("pairs", "agreed", "differ", "labelled", "waiting", "undecided", "better", "worse")] == [
        423, 400, 23, 23, 0, 0, 12, 11,
    ]  # fmt: skip
    assert (found["threshold"], found["margin"], found["labels_needed"], found["missed"]) == (20, 0.05, 0, {"late": 2})
    assert found["e_promote"] >= 20 > found["e_roll_back"]
    low, high = found["interval"]
    assert -0.05 < low < 1 / 423 < high
    assert [one["name"] for one in found["guardrails"]] == ["sample_ratio", "alarms", "failures", "latency", "confidence"]
    assert found["calls"]["challenger"] == {"invocations": 60, "failed": 0}
    blue = evidence_as_json(Evidence(), judge(Evidence(), BLUE_GREEN, POLICY, NOW), BLUE_GREEN, POLICY)
    assert sorted(blue) == ["calls", "control", "guardrails"]


def test_progress_moves_to_the_next_share_and_counts_holds() -> None:
    advanced = after(Decision.ADVANCE, replace(FIRST, holds=1), POLICY)
    assert (advanced.step, advanced.share, advanced.holds) == (1, 0.5, 0)
    assert after(Decision.HOLD, FIRST, POLICY).holds == after(Decision.AWAIT_APPROVAL, FIRST, POLICY).holds == 1
    assert after(Decision.ROLL_BACK, FIRST, POLICY) == FIRST


@pytest.mark.parametrize(
    ("invocations", "model_errors", "counted"),
    [
        (60.0, 3.0, Calls(60, 3)),
        (0.0, 0.0, Calls(0, 0)),
        (0.0, 60.0, Calls(60, 60)),  # a hung container: its failures came, its calls have not yet
    ],
)
def test_a_failure_that_one_metric_has_seen_was_a_call(invocations: float, model_errors: float, counted: Calls) -> None:
    assert Calls.counted(invocations, model_errors) == counted
