"""A rollout's plan and progress: what its functions hand to each other through the state machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a rollout ended. ``RELEASED``: without an experiment, or nothing to change. ``WITHDRAWN``: somebody asked for it."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    INCONCLUSIVE = "inconclusive"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


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
        weights: every change of the live weights so far.
    """

    step: int
    share: float
    holds: int
    started: str
    since: str
    weights: tuple[WeightChange, ...] = ()

    @classmethod
    def begin(cls, share: float, now: str) -> Progress:
        return cls(step=0, share=share, holds=0, started=now, since=now)

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Progress:
        return cls(**{**raw, "weights": tuple(WeightChange(**change) for change in raw["weights"])})

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "weights": [asdict(change) for change in self.weights]}

    def shifted(self, challenger: float, now: str) -> Progress:
        """The live weights are now ``1 - challenger`` and ``challenger``; a repeated call adds no second change.

        The first step is shifted to before the challenger's fleet comes up and again once it is in place: the experiment starts then.
        """
        change = WeightChange(now, round(1 - challenger, 6), round(challenger, 6))
        last = self.weights[-1] if self.weights else None
        same = last is not None and (last.champion, last.challenger) == (change.champion, change.challenger)
        weights = self.weights if same else (*self.weights, change)
        return replace(self, started=self.started if self.step else now, since=now, weights=weights)
