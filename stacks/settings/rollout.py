"""How the challenger is compared with the champion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.settings.fields import Section, Share


class RolloutSettings(Section):
    """How the challenger is compared with the champion: its share of the traffic rises step by step.

    This is the second layer of traffic shifting.
    """

    weight_steps: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(0.1, 0.3, 0.5),
        min_length=1,
        max_length=10,
        description="The challenger's share of the traffic in each step. The shares must rise.",
    )
    step_seconds: int = Field(
        default=600,
        ge=60,
        le=86_400,
        description=(
            "Seconds before a step is judged. It must be at least `hosting.fleet_shift.alarm_period_seconds` x "
            "`hosting.fleet_shift.alarm_evaluation_periods`, the time that a variant's alarm needs."
        ),
    )
    min_invocations: int = Field(
        default=50, ge=1, le=1_000_000, description="Fewest invocations of the challenger in a step. With fewer the step is held."
    )
    max_error_rate: Share = Field(
        default=0.05, description="Share of the challenger's invocations in a step that may fail. With more the challenger is rolled back."
    )
    max_agreement_loss: Share = Field(
        default=0.10,
        description=(
            "How much less people may agree with the challenger than with the champion. A larger loss rolls the challenger "
            "back if chance does not explain it."
        ),
    )
    max_holds: int = Field(
        default=6,
        ge=0,
        le=100,
        description=(
            "How often one step may be held for too little traffic or too few reviews. After that the rollout ends as inconclusive."
        ),
    )
    min_reviewed: int = Field(
        default=20,
        ge=1,
        le=100_000,
        description=(
            "Fewest reviews of each variant with which agreement is judged, counted as [effective "
            "reviews](contracts.md#a-rollout). With three steps, 20 reviews show a loss of some 27 %, and 200 reviews show "
            "one of 9 %."
        ),
    )
    without_reviews: Literal["advance", "hold"] = Field(
        default="advance",
        description=(
            "What a step does that has fewer than `min_reviewed` reviews. `advance`: the rollout goes on, and its reason "
            "says so. `hold`: the step is held."
        ),
    )

    @model_validator(mode="after")
    def _steps_rise(self) -> RolloutSettings:
        if list(self.weight_steps) != sorted(set(self.weight_steps)):
            raise ValueError(f"weight_steps {list(self.weight_steps)} must rise from step to step")
        return self
