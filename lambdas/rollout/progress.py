"""A rollout's plan and progress: what its functions hand to each other through the state machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a rollout ended. ``RELEASED``: without an experiment, or nothing to change. ``WITHDRAWN``: somebody asked for it."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    INCONCLUSIVE = "inconclusive"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


class RolloutPolicy(StrEnum):
    """How a challenger meets callers before it is promoted.

    ``SHADOW``: not at all, its answers are only compared. ``CANARY``: with a share that rises step by step. ``BLUE_GREEN``: it replaces
    the champion at once, behind the fleet's own canary and alarms.
    """

    SHADOW = "shadow"
    CANARY = "canary"
    BLUE_GREEN = "blue_green"


class Approval(StrEnum):
    """Who promotes: the judge alone, or a person whom the judge asks."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


@dataclass(frozen=True)
class WeightChange:
    """Live weights from ``at`` (ISO 8601 UTC) on; both in 0..1, and their sum is 1."""

    at: str
    champion: float
    challenger: float


@dataclass(frozen=True)
class Progress:
    """Where an experiment stands.

    Attributes:
        step: index into the policy's ``weight_steps``.
        share: the challenger's share of traffic that this step asks for.
        holds: how often this step was held for more evidence.
        started: when the experiment began, the challenger in place with its first share; ISO 8601 UTC.
        since: when this step's weights were live; evidence counts from here.
        deadline: when the rollout ends for want of a verdict; it lies as far behind ``started`` as the settings say.
        policy: of this rollout: its input's, or the settings'.
        approval: likewise.
        weights: every change of the live weights so far.
        instances: what the champion alone needs for all callers, by the fleets at the last shift; 0 before.
    """

    step: int
    share: float
    holds: int
    started: str
    since: str
    deadline: str
    policy: RolloutPolicy = RolloutPolicy.CANARY
    approval: Approval = Approval.AUTOMATIC
    weights: tuple[WeightChange, ...] = ()
    instances: int = 0

    @classmethod
    def begin(
        cls,
        share: float,
        now: str,
        *,
        hours: float = 24,
        policy: RolloutPolicy = RolloutPolicy.CANARY,
        approval: Approval = Approval.AUTOMATIC,
    ) -> Progress:
        """Args: ``hours`` from the start of the experiment to its deadline."""
        return cls(0, share, 0, started=now, since=now, deadline=_later(now, timedelta(hours=hours)), policy=policy, approval=approval)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Progress:
        read = {
            "policy": RolloutPolicy(raw["policy"]),
            "approval": Approval(raw["approval"]),
            "weights": tuple(WeightChange(**change) for change in raw["weights"]),
        }
        return cls(**{**raw, **read})

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "weights": [asdict(change) for change in self.weights]}

    def shifted(self, challenger: float, now: str) -> Progress:
        """The live weights are now ``1 - challenger`` and ``challenger``; a repeated call adds no second change.

        The first step is shifted to before the challenger's fleet comes up and again once it is in place: the experiment starts then,
        and its deadline moves along.
        """
        change = WeightChange(now, round(1 - challenger, 6), round(challenger, 6))
        last = self.weights[-1] if self.weights else None
        same = last is not None and (last.champion, last.challenger) == (change.champion, change.challenger)
        weights = self.weights if same else (*self.weights, change)
        if self.step:
            return replace(self, since=now, weights=weights)
        waited = datetime.fromisoformat(now) - datetime.fromisoformat(self.started)
        return replace(self, started=now, since=now, deadline=_later(self.deadline, waited), weights=weights)


def _later(at: str, by: timedelta) -> str:
    return (datetime.fromisoformat(at) + by).isoformat(timespec="milliseconds")
