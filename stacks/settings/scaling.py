"""How many instances serve."""

from __future__ import annotations

from pydantic import Field

from stacks.settings.fields import Section
from stacks.settings.limits import Instances, UpToAnHour


class ScalingSettings(Section):
    """Autoscaling: the number of each variant's instances follows its number of invocations."""

    min_instances: Instances = Field(default=2, description="Fewest instances of each variant.")
    max_instances: Instances = Field(default=4, description="Most instances of each variant.")
    invocations_per_instance_per_minute: int = Field(
        default=600, ge=1, le=100_000, description="Invocations per instance and minute that autoscaling aims at."
    )
    scale_in_cooldown_seconds: UpToAnHour = Field(default=300, description="Seconds after a removal of instances before more are removed.")
    scale_out_cooldown_seconds: UpToAnHour = Field(default=60, description="Seconds after an addition of instances before more are added.")
