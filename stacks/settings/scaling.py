"""How many instances serve."""

from __future__ import annotations

from pydantic import Field

from stacks.settings.fields import Section


class ScalingSettings(Section):
    """Target tracking of one variant's instances."""

    min_instances: int = Field(default=2, ge=1, le=100)
    max_instances: int = Field(default=4, ge=1, le=100)
    invocations_per_instance_per_minute: int = Field(default=600, ge=1, le=100_000)
    scale_in_cooldown_seconds: int = Field(default=300, ge=0, le=3_600)
    scale_out_cooldown_seconds: int = Field(default=60, ge=0, le=3_600)
