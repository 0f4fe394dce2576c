"""What a rollout does next: pure, from (evidence, progress, policy, time) to a verdict with its reason.

In this order: guardrails, a loss that is sure, a margin that is refuted, the deadline, a pause, and the next step of a canary. So alarms
and failures end a paused rollout, and a deadline ends everything that waits. Another judge may stand behind the same :class:`Judge`
interface.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from contracts import betting
from contracts.phrases import are, counted
from lambdas.rollout.judge_rollout.guardrails import Guardrail, Limits, Name, Operation, Watched, guardrails, percent
from lambdas.rollout.judge_rollout.pairs_read import PairsRead, Tally
from lambdas.rollout.progress import Approval, Progress, RolloutPolicy

EQUIVALENT = 2
"""At the end a challenger is as good as the champion if a loss of so many margins has been refuted."""
_ALWAYS = (Name.ALARMS, Name.FAILURES)
"""These end a paused rollout, too."""


class Decision(StrEnum):
    """``ADVANCE``: next weight. ``HOLD``: the same weight for longer. ``AWAIT_APPROVAL``: the same, until a person approves."""

    ADVANCE = "advance"
    HOLD = "hold"
    AWAIT_APPROVAL = "await_approval"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    INCONCLUSIVE = "inconclusive"


class TakeBack(StrEnum):
    """How the champion gets its callers back where the challenger loses them. The state machine branches on it.

    ``AT_ONCE``: its instances follow. ``INSTANCES_FIRST``: it first gets the instances for all callers.
    """

    AT_ONCE = "at_once"
    INSTANCES_FIRST = "instances_first"


class AtEnd(StrEnum):
    """What follows when time is up without a decision."""

    KEEP_CHAMPION = "keep_champion"
    PROMOTE_IF_EQUIVALENT = "promote_if_equivalent"


@dataclass(frozen=True)
class Policy:
    """Settings ``rollout``; shares are 0..1. A rollout's own policy and approval are in its :class:`Progress`.

    ``max_holds``: looks at one step that fit into ``max_hours``. They bound the history of an execution where looks are quick.
    """

    weight_steps: tuple[float, ...]
    margin: float
    error: float
    at_end: AtEnd
    max_holds: int
    min_invocations: int
    max_error_rate: float
    max_latency_ratio: float
    max_confidence_loss: float

    def limits(self, progress: Progress) -> Limits:
        steps = len(self.weight_steps) if progress.policy is RolloutPolicy.CANARY else 1
        return Limits(self.max_error_rate, self.max_latency_ratio, self.max_confidence_loss, self.error, steps)


@dataclass(frozen=True)
class Evidence:
    """What is known at one look. With blue/green there are no pairs, and the judged variant's calls stand as the challenger's.

    ``paused``, ``approved``: what people told this rollout (``lambdas/common/rollout_control.py``); ``by``: who.
    """

    pairs: PairsRead = field(default_factory=PairsRead)
    operation: Operation = field(default_factory=Operation)
    paused: bool = False
    approved: bool = False
    by: str = ""


@dataclass(frozen=True)
class Verdict:
    """``take_back``: a challenger that breaks something loses its callers at once; where people or the clock decide, minutes matter less
    than a champion with too few instances.
    """

    decision: Decision
    reason: str
    guardrails: tuple[Guardrail, ...] = ()
    take_back: TakeBack = TakeBack.INSTANCES_FIRST


class Judge(Protocol):
    """What the rollout needs of a judge. ``now`` has its offset from UTC."""

    def __call__(self, evidence: Evidence, progress: Progress, policy: Policy, now: datetime) -> Verdict: ...


def judge(evidence: Evidence, progress: Progress, policy: Policy, now: datetime) -> Verdict:
    watched = Watched(evidence.operation, evidence.pairs.doubts, evidence.pairs.calls)
    rails = tuple(guardrails(watched, progress, policy.limits(progress)))
    look = _Look(evidence, progress, policy, now)
    if guarded := look.guarded(rails):
        return Verdict(*guarded, rails, TakeBack.AT_ONCE)
    return Verdict(*look.decided(), rails)


def evidence_as_json(evidence: Evidence, verdict: Verdict, progress: Progress, policy: Policy) -> dict[str, Any]:
    """``$.verdict.evidence``: docs/contracts.md, "A rollout". Blue/green compares nothing, so it has no pairs."""
    calls = {name: vars(getattr(evidence.operation, name)) for name in ("champion", "challenger")}
    rails = [guardrail.as_json() for guardrail in verdict.guardrails]
    told = {"paused": evidence.paused, "approved": evidence.approved, "by": evidence.by}
    compared = progress.policy is not RolloutPolicy.BLUE_GREEN
    figures = {"margin": policy.margin, **evidence.pairs.as_json(policy.margin, policy.error)} if compared else {}
    return {**figures, "guardrails": rails, "calls": calls, "control": told}


_Decided = tuple[Decision, str]


class _Look:
    """One look of the judge."""

    def __init__(self, evidence: Evidence, progress: Progress, policy: Policy, now: datetime) -> None:
        self._evidence, self._progress, self._policy = evidence, progress, policy
        self._over = now >= datetime.fromisoformat(progress.deadline) or progress.holds >= policy.max_holds
        self._pairs, self._needed = evidence.pairs, -math.log(policy.error)
        # Each claim has the place in the order of the texts where it is refuted most.
        self._lost, self._held = evidence.pairs.for_a_loss(), evidence.pairs.against_a_loss(policy.margin)
        self._loss_is_sure, self._loss_is_refuted = self._lost.against_no_loss(), self._held.against_loss(policy.margin)

    def decided(self) -> _Decided:
        """What follows where no guardrail rings."""
        return self._judged() or self._ended() or self._going_on()

    def guarded(self, rails: tuple[Guardrail, ...]) -> _Decided | None:
        for guardrail in rails:
            if not guardrail.rings or (self._evidence.paused and guardrail.name not in _ALWAYS):
                continue
            if guardrail.name is Name.SAMPLE_RATIO:
                return Decision.INCONCLUSIVE, (
                    f"{guardrail.reason}: the variants do not get the callers that they should, so they are not compared; find out who "
                    "changed the weights, or what loses calls, and start again"
                )
            return Decision.ROLL_BACK, guardrail.reason
        return None

    def _judged(self) -> _Decided | None:
        """By what people said, or by blue/green's watch."""
        if self._evidence.paused:
            return None
        if self._progress.policy is RolloutPolicy.BLUE_GREEN:
            calls = self._evidence.operation.challenger
            failed = f"{calls.failed} of {counted(calls.invocations, 'call')} failed" if calls.invocations else "nobody called it"
            return self._promote(f"no alarm, and {failed}; nobody compared the answers")
        if self._loss_is_sure >= self._needed:
            return Decision.ROLL_BACK, f"the challenger is worse: {self._people(self._lost, self._loss_is_sure)}"
        if self._loss_is_refuted >= self._needed:
            return self._promote(f"a loss of {points(self._policy.margin)} is refuted: {self._people(self._held, self._loss_is_refuted)}")
        return None

    def _promote(self, reason: str) -> _Decided:
        if self._progress.approval is Approval.AUTOMATIC:
            return Decision.PROMOTE, reason
        if self._evidence.approved:
            return Decision.PROMOTE, f"{reason}; approved by {self._evidence.by or 'somebody without a name'}"
        if self._over:
            return Decision.INCONCLUSIVE, f"{reason}; but nobody approved in time"
        return Decision.AWAIT_APPROVAL, f"{reason}; it waits for approval until {self._progress.deadline}"

    def _ended(self) -> _Decided | None:
        """The deadline."""
        if not self._over:
            return None
        end = "the time is up"
        if self._evidence.paused:
            return Decision.INCONCLUSIVE, f"{end} while the rollout was paused by {self._evidence.by or 'somebody without a name'}"
        if self._policy.at_end is AtEnd.PROMOTE_IF_EQUIVALENT and (loss := EQUIVALENT * self._policy.margin) < 1:
            held = self._pairs.against_a_loss(loss)
            if (refuted := held.against_loss(loss)) >= self._needed:
                told = self._people(held, refuted)
                return self._promote(f"{end}, and a loss of {points(loss)} is refuted, which counts as equivalent: {told}")
        most = self._pairs.telling(self._policy.margin, self._policy.error)
        told = self._people(most, max(self._loss_is_sure, self._loss_is_refuted))
        return Decision.INCONCLUSIVE, f"{end}: neither a loss nor one of {points(self._policy.margin)} is refuted; {told}"

    def _going_on(self) -> _Decided:
        if self._evidence.paused:
            return Decision.HOLD, f"paused by {self._evidence.by or 'somebody without a name'}"
        told = self._so_far()
        canary = self._progress.policy is RolloutPolicy.CANARY
        if not canary or self._progress.step + 1 >= len(self._policy.weight_steps):
            return Decision.HOLD, told
        calls, least = self._evidence.operation.challenger.invocations, self._policy.min_invocations
        if calls < least:
            had = counted(calls, "call")
            return Decision.HOLD, f"{had} of the challenger at {percent(self._progress.share)}, {least:,} {are(least)} needed; {told}"
        # The share follows the evidence: a challenger that is worse stays at its first share until it is rolled back.
        step = self._needed * (self._progress.step + 1) / len(self._policy.weight_steps)
        if self._loss_is_refuted < step:
            return Decision.HOLD, f"from {betting.told(step):g} on it gets a larger share; {told}"
        if self._loss_is_sure > self._loss_is_refuted:
            return Decision.HOLD, f"more speaks for a loss, so it gets no larger share; {told}"
        return Decision.ADVANCE, told

    def _people(self, tally: Tally, log: float) -> str:
        """What decided, in words."""
        low, high = tally.interval(self._policy.error)
        pairs = self._pairs
        waiting = "waiting" if tally is pairs.tally else "waiting (counted against it)"
        silent = ", ".join(
            f"{count} {word}"
            for count, word in ((pairs.waiting, waiting), (pairs.undecided, "undecided"), (pairs.lost, "unanswered"))
            if count
        )
        return (
            f"people agree with the challenger alone on {tally.better} and with the champion alone on {tally.worse} of "
            f"{counted(tally.read, 'text')}, so the difference is {points(low, sign=True)} to {points(high, sign=True)} "
            f"(evidence {betting.told(log):g}, {1 / self._policy.error:g} decides; "
            f"{counted(pairs.labelled, 'label')}{', ' + silent if silent else ''})"
        )

    def _so_far(self) -> str:
        more = self._pairs.labels_needed(self._policy.margin, self._policy.error)
        against = betting.told(self._loss_is_sure), betting.told(self._loss_is_refuted)
        return (
            f"evidence {against[0]:g} of a loss, {against[1]:g} against one of {points(self._policy.margin)}, {1 / self._policy.error:g} "
            f"decides; {counted(self._pairs.labelled, 'label')}, {self._pairs.waiting} waiting, "
            + (f"about {more:,} more {are(more)} needed" if more is not None else "more like these would not decide")
        )


def points(share: float, *, sign: bool = False) -> str:
    return f"{100 * share:{'+' if sign else ''}.1f} points"
