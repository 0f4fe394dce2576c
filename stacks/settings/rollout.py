"""How the challenger is compared with the champion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.settings.fields import Section, Share


class RolloutSettings(Section):
    """Champion against challenger: weights step by step (layer two of traffic shifting)."""

    weight_steps: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(default=(0.1, 0.3, 0.5), min_length=1, max_length=10)
    step_seconds: int = Field(default=600, ge=60, le=86_400)
    min_invocations: int = Field(default=50, ge=1, le=1_000_000)
    max_error_rate: Share = 0.05
    max_agreement_loss: Share = 0.10
    max_holds: int = Field(default=6, ge=0, le=100)
    min_reviewed: int = Field(default=20, ge=1, le=100_000)
    without_reviews: Literal["advance", "hold"] = "advance"

    @model_validator(mode="after")
    def _steps_rise(self) -> RolloutSettings:
        if list(self.weight_steps) != sorted(set(self.weight_steps)):
            raise ValueError(f"weight_steps {list(self.weight_steps)} must rise from step to step")
        return self
