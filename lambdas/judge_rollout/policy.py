"""Champion against challenger at one weight step: pure, from (evidence, progress) to a verdict with its reason.

This judge is plain: it compares failures and agreement with people against fixed limits. It makes no claim of statistical
significance; another one may stand behind the same :class:`Judge` interface.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lambdas.common.rollout import Progress

MIN_REVIEWED = 20
"""With fewer reviewed answers a side, one rater's slip moves agreement by more than the limit: agreement is not judged."""


class Decision(StrEnum):
    """``ADVANCE``: next weight. ``PROMOTE``: the last weight was passed. ``HOLD``: the same weight for longer."""

    ADVANCE = "advance"
    PROMOTE = "promote"
    HOLD = "hold"
    ROLL_BACK = "roll_back"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class VariantEvidence:
    """Counts of one variant: calls and failed ones at this step, reviewed answers and agreeing ones since the rollout began."""

    invocations: int
    failed: int
    reviewed: int = 0
    agreed: int = 0

    @property
    def error_rate(self) -> float:
        return self.failed / self.invocations if self.invocations else 0.0

    @property
    def agreement(self) -> float:
        return self.agreed / self.reviewed if self.reviewed else 0.0


@dataclass(frozen=True)
class Evidence:
    """``alarms``: names of the challenger's alarms that are in ALARM."""

    champion: VariantEvidence
    challenger: VariantEvidence
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """Settings ``rollout``: shares are 0..1, ``max_holds`` counts per step."""

    weight_steps: tuple[float, ...]
    min_invocations: int
    max_error_rate: float
    max_agreement_loss: float
    max_holds: int


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
    agreement, loss = _agreement(champion, challenger)
    if loss is not None and loss > policy.max_agreement_loss:
        return Verdict(Decision.ROLL_BACK, f"{agreement}: a loss of {_percent(policy.max_agreement_loss)} is allowed")
    passed = f"at {_percent(progress.share)} {errors}; {agreement}"
    last = progress.step + 1 >= len(policy.weight_steps)
    return Verdict(Decision.PROMOTE if last else Decision.ADVANCE, passed)


def _wait(reason: str, progress: Progress, policy: Policy) -> Verdict:
    if progress.holds >= policy.max_holds:
        return Verdict(Decision.INCONCLUSIVE, f"{reason}; held {progress.holds} times, {policy.max_holds} are allowed")
    return Verdict(Decision.HOLD, reason)


def _agreement(champion: VariantEvidence, challenger: VariantEvidence) -> tuple[str, float | None]:
    """What to say of agreement with people, and the challenger's loss; None with too few reviews to judge it."""
    sides = [f"with the {name} on {side.agreed} of {side.reviewed}" for name, side in (("challenger", challenger), ("champion", champion))]
    counts = f"people agree {', '.join(sides)}"
    if min(champion.reviewed, challenger.reviewed) < MIN_REVIEWED:
        return f"{counts} reviewed answers, too few to judge ({MIN_REVIEWED} each)", None
    return f"{counts} reviewed answers", champion.agreement - challenger.agreement


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
