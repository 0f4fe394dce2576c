"""Champion against challenger at one weight step: pure, from (evidence, progress) to a verdict with its reason.

Failures are held against a fixed limit. Agreement with people ends a rollout when the loss is above its limit *and* above what chance
explains: a challenger as good as the champion is rolled back for its agreement in at most :data:`FALSE_ROLLBACKS` of all rollouts.
Agreement is looked at once a step (a hold is for want of evidence, and ends before that look), so each look has that rate divided by
the number of steps (Bonferroni). Another judge may stand behind the same :class:`Judge` interface.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import NormalDist
from typing import Protocol

from lambdas.rollout.judge_rollout.agreement import Reviews, loss, standard_error
from lambdas.rollout.progress import Progress

FALSE_ROLLBACKS = 0.05
"""Of rollouts whose challenger is as good as the champion."""


class Decision(StrEnum):
    """``ADVANCE``: next weight. ``PROMOTE``: the last weight was passed. ``HOLD``: the same weight for longer."""

    ADVANCE = "advance"
    PROMOTE = "promote"
    HOLD = "hold"
    ROLL_BACK = "roll_back"
    INCONCLUSIVE = "inconclusive"


class WithoutReviews(StrEnum):
    """What a step with too few reviews to judge agreement does when all else is well."""

    ADVANCE = "advance"
    HOLD = "hold"


@dataclass(frozen=True)
class VariantEvidence:
    """Counts of one variant: calls and failed ones at this step, reviews of its answers since the experiment began."""

    invocations: int
    failed: int
    reviews: Reviews = field(default_factory=Reviews)

    @classmethod
    def counted(cls, invocations: float, model_errors: float, reviews: Reviews) -> VariantEvidence:
        """From CloudWatch's sums, which may lack a metric: a failure that only ``InvocationModelErrors`` has seen was a call, too."""
        return cls(round(max(invocations, model_errors)), round(model_errors), reviews)

    @property
    def error_rate(self) -> float:
        return self.failed / self.invocations if self.invocations else 0.0


@dataclass(frozen=True)
class Evidence:
    """``alarms``: names of the challenger's alarms that are in ALARM."""

    champion: VariantEvidence
    challenger: VariantEvidence
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """Settings ``rollout``: shares are 0..1, ``max_holds`` counts per step, ``min_reviewed`` in effective reviews of each variant."""

    weight_steps: tuple[float, ...]
    min_invocations: int
    max_error_rate: float
    max_agreement_loss: float
    max_holds: int
    min_reviewed: int
    without_reviews: WithoutReviews

    @property
    def sureness(self) -> float:
        """One-sided normal quantile of one look at agreement."""
        return NormalDist().inv_cdf(1 - FALSE_ROLLBACKS / len(self.weight_steps))


@dataclass(frozen=True)
class Verdict:
    decision: Decision
    reason: str


class Judge(Protocol):
    """What the rollout needs of a judge."""

    def __call__(self, evidence: Evidence, progress: Progress, policy: Policy) -> Verdict: ...


def judge(evidence: Evidence, progress: Progress, policy: Policy) -> Verdict:
    """Too little traffic is neither pass nor fail: hold, and in the end inconclusive."""
    champion, challenger = evidence.champion, evidence.challenger
    if evidence.alarms:
        return Verdict(Decision.ROLL_BACK, f"{', '.join(evidence.alarms)} in ALARM")
    if challenger.invocations < policy.min_invocations:
        return _wait(
            f"{challenger.invocations} calls of the challenger at {_percent(progress.share)}, {policy.min_invocations} are needed",
            progress,
            policy,
        )
    errors = f"{challenger.failed} of {challenger.invocations} calls failed ({_percent(challenger.error_rate)})"
    if challenger.error_rate > policy.max_error_rate:
        if champion.invocations and champion.error_rate >= challenger.error_rate:
            return _wait(
                f"{errors}, but the champion fails as often ({_percent(champion.error_rate)}): not the challenger's fault", progress, policy
            )
        return Verdict(Decision.ROLL_BACK, f"challenger: {errors}, {_percent(policy.max_error_rate)} are allowed")
    return _judge_agreement(champion.reviews, challenger.reviews, f"at {_percent(progress.share)} {errors}", progress, policy)


def _judge_agreement(champion: Reviews, challenger: Reviews, errors: str, progress: Progress, policy: Policy) -> Verdict:
    """The last look; ``errors`` tells that the calls are well."""
    told = _told(champion, challenger)
    passed = Decision.PROMOTE if progress.step + 1 >= len(policy.weight_steps) else Decision.ADVANCE
    effective = min(champion.sample.effective, challenger.sample.effective)
    if effective < policy.min_reviewed:
        few = f"without enough reviews to judge agreement ({math.floor(effective)} of {policy.min_reviewed})"
        if policy.without_reviews is WithoutReviews.HOLD:
            return _wait(f"{errors}, {few}: {told}", progress, policy)
        return Verdict(passed, f"{few}: {errors}; {told}")
    lost, chance = loss(champion.sample, challenger.sample), policy.sureness * standard_error(champion.sample, challenger.sample)
    if lost <= policy.max_agreement_loss:
        return Verdict(passed, f"{errors}; {told}")
    if lost <= chance:
        return Verdict(passed, f"{errors}; {told}: a loss of {_percent(lost)}, where chance explains up to {_percent(chance)}")
    allowed = f"{_percent(policy.max_agreement_loss)} is allowed, and chance explains up to {_percent(chance)}"
    return Verdict(Decision.ROLL_BACK, f"{told}: a loss of {_percent(lost)}, where {allowed}")


def _wait(reason: str, progress: Progress, policy: Policy) -> Verdict:
    if progress.holds >= policy.max_holds:
        return Verdict(Decision.INCONCLUSIVE, f"{reason}; held {progress.holds} times, {policy.max_holds} are allowed")
    return Verdict(Decision.HOLD, reason)


def _told(champion: Reviews, challenger: Reviews) -> str:
    """What people said, weighted and counted, and how many of the asked have said nothing."""
    sides = (("challenger", challenger), ("champion", champion))
    agreement = " and ".join(f"with the {name} on {_rate(side)}" for name, side in sides)
    silent = ", ".join(
        f"{side.unlabelled} of the {name} ({side.waiting} waiting, {side.undecided} undecided, {side.dead_lettered} dead letters)"
        for name, side in sides
        if side.unlabelled
    )
    return f"people agree {agreement}" + (f"; asked about and without a label: {silent}" if silent else "")


def _rate(side: Reviews) -> str:
    sample = side.sample
    return f"{_percent(sample.rate)} ({side.agreed} of {side.labelled} reviewed answers, worth {sample.effective:.0f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
