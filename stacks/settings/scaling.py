"""How many instances serve."""

from __future__ import annotations

from pydantic import Field

from stacks.settings.fields import Section
from stacks.settings.limits import Instances, UpToAnHour


class ScalingSettings(Section):
    """Target tracking of one variant's instances."""

    min_instances: Instances = 2
    max_instances: Instances = 4
    invocations_per_instance_per_minute: int = Field(default=600, ge=1, le=100_000)
    scale_in_cooldown_seconds: UpToAnHour = 300
    scale_out_cooldown_seconds: UpToAnHour = 60
