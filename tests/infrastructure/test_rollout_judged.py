"""What callers and people can do to a rollout, one row per case: the deployed definition, the real functions, and the real judge.

A story says how many texts both models answer in an hour, how often they differ, whom people agree with, and when people answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from rollout_walk import STEPS, everything_in_its_place, walked
from rollout_world import NAMES, NEW, OLD, World

from lambdas.common.pairs import DifferingPair, Pairs, PairState, Slot
from lambdas.common.rollout_control import RolloutControl
from lambdas.rollout.judge_rollout.guardrails import Calls, Operation
from lambdas.rollout.judge_rollout.pairs_read import PairsRead
from lambdas.rollout.judge_rollout.policy import AtEnd, Evidence, Policy, evidence_as_json, judge
from lambdas.rollout.judge_rollout.progress import after
from lambdas.rollout.progress import Progress, RolloutPolicy, WeightChange

MINUTES = 30
"""The texts of half an hour come in one minute."""
WELL = Operation(Calls(500, 2), Calls(60, 0))
ROLLOUT: dict[str, Any] = {"champion": OLD, "challenger": NEW}


def hours(gone: float, texts: int = 100, **others: Any) -> Operation:
    return WELL


@dataclass(frozen=True)
class Story:
    """What happens while a rollout is judged.

    Attributes:
        pairs_an_hour: texts that both models answer.
        differ: share of them with two labels.
        better: share of those for which people agree with the challenger; with the champion on the others.
        silent_until: hours after the start from which people answer at once; before that they answer nothing.
        dead_letters: so many of the first pairs that differ are never answered.
        found_at: hours after the start at which the reconciler finds the first pair's answer, whose event was lost.
        lost: hours whose texts are not paired, such as those of a queue that is down.
        a_day: most pairs that differ in a day; when they are spent, nothing is paired until the next day.
        answered: the challenger's share of the callers; None: its weight.
        confidence: of the challenger where the labels differ; the champion's is 0.7.
        operation: hours after the start -> calls, latencies and alarms.
        told: hours after the start -> the control record from then on.
    """

    pairs_an_hour: int = 100
    differ: float = 0.06
    better: float = 0.5
    silent_until: float = 0.0
    dead_letters: int = 0
    found_at: float = 0.0
    lost: tuple[float, float] = (0.0, 0.0)
    a_day: int | None = None
    answered: float | None = None
    operation: Callable[[float], Operation] = lambda gone: WELL
    told: Mapping[float, str] = field(default_factory=dict)
    confidence: float = 0.7

    def pairs(self, start: datetime, now: datetime, weights: Sequence[WeightChange]) -> Pairs:
        """Every pair until now."""
        gone = (now - start) / timedelta(hours=1)
        slots, seen, differed, today, spent = [], 0, 0, 0, 0
        owed = 0.0
        for number in range(int(gone * 60 / MINUTES)):
            hour = number * MINUTES / 60
            if self.lost[0] <= hour < self.lost[1]:
                continue
            day = int(hour // 24)
            today, spent = (today, spent) if day == today else (day, 0)
            if self.a_day is not None and spent >= self.a_day:
                continue
            came = self.pairs_an_hour * MINUTES // 60
            seen += came
            new = math.floor(seen * self.differ) - differed
            at = start + timedelta(hours=hour)
            differ = tuple(self._pair(differed + index, at, gone) for index in range(new))
            differed, spent = differed + new, spent + new
            live = [change.challenger for change in weights if datetime.fromisoformat(change.at) <= at]
            owed += came * (live[-1] if self.answered is None else self.answered)
            to_challenger = math.floor(owed)
            owed -= to_challenger
            calls = {"champion": came - to_challenger, "challenger": to_challenger}
            slots.append(Slot(at.isoformat()[:19], came - new, differ, calls))
        return Pairs(tuple(slots), {"failed": int((min(gone, self.lost[1]) - self.lost[0]) * self.pairs_an_hour)} if self.lost[1] else {})

    def _pair(self, number: int, at: datetime, gone: float) -> DifferingPair:
        answered = self.silent_until if number else max(self.silent_until, self.found_at)
        state = PairState.LABELLED if gone >= answered else PairState.WAITING
        if number < self.dead_letters:
            state = PairState.DEAD_LETTERED
        better = math.floor((number + 1) * self.better) > math.floor(number * self.better)
        label = None if state is not PairState.LABELLED else ("yes" if better else "no")
        return DifferingPair(f"{number:032x}", at.isoformat(), "champion", "no", "yes", 0.7, self.confidence, state, label)


class Judged:
    """The judge's function without AWS: evidence by a story, the clock of the world."""

    def __init__(self, world: World, story: Story, policy: Policy) -> None:
        self.world, self.story, self.policy, self.looks = world, story, policy, 0

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        self.looks += 1
        progress, now = Progress.parse(event["progress"]), self.world.now
        start = datetime.fromisoformat(progress.started)
        gone = (now - start) / timedelta(hours=1)
        record = next((told for hour, told in sorted(self.story.told.items(), reverse=True) if hour <= gone), "none")
        told = RolloutControl.of(str(event["rollout"]), record)
        compared = progress.policy is not RolloutPolicy.BLUE_GREEN
        pairs = PairsRead.of(self.story.pairs(start, now, progress.weights)) if compared else PairsRead()
        evidence = Evidence(pairs, self.story.operation(gone), told.paused, told.approved, told.by)
        verdict = judge(evidence, progress, self.policy, now)
        return {
            "decision": verdict.decision.value,
            "reason": verdict.reason,
            "take_back": verdict.take_back.value,
            "evidence": evidence_as_json(evidence, verdict, progress, self.policy),
            "progress": after(verdict.decision, progress, self.policy).as_json(),
        }


POLICY = Policy(
    weight_steps=STEPS, margin=0.05, error=0.05, at_end=AtEnd.KEEP_CHAMPION, max_holds=24, min_invocations=10, max_error_rate=0.05,
    max_latency_ratio=2.0, max_confidence_loss=0.2,
)  # fmt: skip
PAUSED, APPROVED = (RolloutControl("r-1", **{word: True}, by="ada").format() for word in ("paused", "approved"))
SHADOW, BLUE_GREEN, MANUAL = {"policy": "shadow"}, {"policy": "blue_green"}, {"approval": "manual"}


def failing(calls: int, failed: int) -> Callable[[float], Operation]:
    return lambda gone: Operation(Calls(500, 2), Calls.counted(calls, failed))


def ringing_from(hour: float) -> Callable[[float], Operation]:
    rings = NAMES.operating_alarms("challenger")[:1]
    return lambda gone: Operation(WELL.champion, WELL.challenger, (), rings if gone >= hour else ())


def slow(gone: float) -> Operation:
    return Operation(WELL.champion, WELL.challenger, [(10_000.0, 50_000.0)] * int(gone * 60))


@dataclass(frozen=True)
class Case:
    """``told``: part of the reason. ``shares``: of the experiment's records. ``passes``, ``avoids``: states that were entered or not."""

    name: str
    outcome: str
    story: Story
    content: Mapping[str, Any] = field(default_factory=dict)
    told: str = ""
    at_end: AtEnd = AtEnd.KEEP_CHAMPION
    shares: tuple[float, ...] | None = None
    passes: tuple[str, ...] = ()
    avoids: tuple[str, ...] = ()


CASES = [
    Case("a better challenger", "promoted", Story(better=0.8), told="a loss of 5.0 points is refuted"),
    Case("an equal challenger", "promoted", Story(better=0.5), told="a loss of 5.0 points is refuted"),
    Case("a worse challenger", "rolled_back", Story(differ=0.2, better=0.2), told="the challenger is worse"),
    Case("a much worse challenger gets no larger share", "rolled_back", Story(200, differ=0.2, better=0.1), shares=(0.2,)),
    Case("the same, and people answer after most of the looks", "rolled_back", Story(200, differ=0.2, better=0.1, silent_until=20),
         told="the challenger is worse", shares=(0.2,), passes=("GrowChampion",)),
    Case("the same, and people answer nothing", "inconclusive", Story(200, differ=0.2, better=0.1, silent_until=99), shares=(0.2,)),
    Case("a better one in the shadow", "promoted", Story(better=0.8), SHADOW, shares=(0.0,)),
    Case("no traffic", "inconclusive", Story(pairs_an_hour=0, operation=failing(0, 0)), told="the time is up", shares=(0.2,)),
    Case("no traffic, blue/green", "promoted", Story(operation=failing(0, 0)), BLUE_GREEN, told="nobody compared"),
    Case("only errors", "rolled_back", Story(operation=failing(60, 60)), told="60 of 60 calls of the challenger failed",
         avoids=("GrowChampion",)),
    Case("a container that hangs", "rolled_back", Story(operation=failing(0, 60)), told="60 of 60 calls of the challenger failed"),
    Case("a container that hangs, blue/green", "rolled_back", Story(operation=failing(0, 60)), BLUE_GREEN, told="60 of 60"),
    Case("the champion fails as often", "promoted", Story(operation=lambda gone: Operation(Calls(600, 120), Calls(60, 12)))),
    Case("an alarm in a step", "rolled_back", Story(differ=0.0, pairs_an_hour=0, operation=ringing_from(1)), told="in ALARM"),
    Case("an alarm after blue/green", "rolled_back", Story(operation=ringing_from(0)), BLUE_GREEN, told="in ALARM"),
    Case("an alarm in a pause", "rolled_back", Story(operation=ringing_from(5), told={0: PAUSED}), told="in ALARM"),
    Case("a slow challenger", "rolled_back", Story(differ=0.0, pairs_an_hour=0, operation=slow), told="2 times as long"),
    Case("confidence collapses", "rolled_back", Story(differ=0.2, silent_until=99, confidence=0.1), told="less sure"),
    Case("callers do not meet the weights", "inconclusive", Story(silent_until=99, answered=0.6), told="callers"),
    Case("reviewers are absent", "inconclusive", Story(silent_until=99), told="waiting"),
    Case("reviewers come after half a day", "promoted", Story(silent_until=12), told="a loss of 5.0 points is refuted"),
    Case("the event of one answer is lost for ten hours", "promoted", Story(better=0.8, found_at=10), told="refuted"),
    Case("the event of one answer is lost for ever", "promoted", Story(better=0.8, found_at=99), told="1 waiting (counted against it)"),
    Case("some reviews are dead letters", "promoted", Story(better=0.6, dead_letters=3), told="3 unanswered"),
    Case("most reviews are dead letters", "inconclusive", Story(differ=0.06, dead_letters=999), told="unanswered"),
    Case("the day's budget is spent", "promoted", Story(better=0.7, a_day=20), told="a loss of 5.0 points is refuted"),
    Case("the budget is too small", "inconclusive", Story(differ=0.5, better=0.5, a_day=10), told="the time is up"),
    Case("copies are lost for an hour", "promoted", Story(better=0.7, lost=(0.5, 1.5)), told="a loss of 5.0 points is refuted"),
    Case("copies are lost all the time", "inconclusive", Story(lost=(0.0, 99.0)), told="0 labels"),
    Case("paused and resumed", "promoted", Story(better=0.8, told={0: PAUSED, 9: "none"}), told="refuted", shares=(0.2,)),
    Case("paused to the end", "inconclusive", Story(better=0.8, told={0: PAUSED}), told="paused by ada", shares=(0.2,)),
    Case("told something unreadable", "inconclusive", Story(better=0.8, told={0: "pause!"}), told="control record 'pause!'"),
    Case("another rollout is paused", "promoted", Story(told={0: PAUSED.replace("r-1", "r-9")})),
    Case("approved", "promoted", Story(better=0.8, told={20: APPROVED}), MANUAL, told="approved by ada"),
    Case("approved beforehand", "promoted", Story(better=0.8, told={0: APPROVED}), MANUAL, told="approved by ada"),
    Case("approved, but worse", "rolled_back", Story(differ=0.2, better=0.2, told={0: APPROVED}), MANUAL, told="worse"),
    Case("never approved", "inconclusive", Story(better=0.8), MANUAL, told="nobody approved"),
    Case("an alarm while approval is awaited", "rolled_back", Story(better=0.8, operation=ringing_from(20)), MANUAL, told="in ALARM"),
    Case("blue/green, approved", "promoted", Story(told={2: APPROVED}), BLUE_GREEN | MANUAL, told="approved by ada"),
    Case("blue/green, never approved", "inconclusive", Story(), BLUE_GREEN | MANUAL, told="nobody approved"),
    Case("shadow, approved", "promoted", Story(better=0.8, told={20: APPROVED}), SHADOW | MANUAL, told="approved by ada", shares=(0.0,)),
    Case("too few texts", "inconclusive", Story(pairs_an_hour=4), told="the time is up"),
    Case("too few texts, and equivalent is enough", "promoted", Story(pairs_an_hour=4, differ=0.02), told="equivalent",
         at_end=AtEnd.PROMOTE_IF_EQUIVALENT),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_rollout_ends_as_its_story_says(case: Case) -> None:
    world = World()
    policy = Policy(**{**asdict(POLICY), "at_end": case.at_end})
    walk, ended = walked(world, {**ROLLOUT, **case.content}, judge=Judged(world, case.story, policy))
    assert ended["status"] == "SUCCEEDED", ended
    output = ended["output"]
    assert output["outcome"] == case.outcome, output
    assert case.told in output["reason"]
    everything_in_its_place(world, NEW if case.outcome == "promoted" else OLD)
    if case.shares is not None:
        assert tuple(experiment.share for experiment in world.experiments) == case.shares
    assert set(case.passes) <= set(walk.states)
    assert not set(case.avoids) & set(walk.states)
