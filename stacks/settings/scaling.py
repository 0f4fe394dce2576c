"""How many instances serve."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.settings.fields import Section
from stacks.settings.limits import Instances, UpToAnHour

MOST_FLOORS = 10
_TARGETS = {"invocations": "invocations_per_instance_per_minute", "concurrency": "concurrent_requests_per_instance"}


Cron = Annotated[str, Field(max_length=100, pattern=r"^[0-9A-Z*?,/#-]+( [0-9A-Z*?,/#-]+){5}$")]


class ScalingSettings(Section):
    """Autoscaling: the number of each variant's instances follows its load, within bounds.

    While no challenger is compared, the challenger's variant has its fewest instances.
    """

    min_instances: Instances = Field(default=2, description="Fewest instances of each variant.")
    max_instances: Instances = Field(default=4, description="Most instances of each variant.")
    metric: Literal["invocations", "concurrency"] = Field(
        default="invocations",
        description=(
            "The load that the instances follow. `invocations`: calls per instance and minute. `concurrency`: calls that are answered at "
            "the same time, which also follows texts that take longer, and is measured every ten seconds."
        ),
    )
    invocations_per_instance_per_minute: int = Field(
        default=600, ge=1, le=100_000, description="With `metric: invocations`: invocations per instance and minute to aim at."
    )
    concurrent_requests_per_instance: float = Field(
        default=2.0,
        ge=0.1,
        le=1_000,
        description="With `metric: concurrency`: calls that an instance answers at the same time, on average, to aim at.",
    )
    floors: dict[Cron, Instances] = Field(
        default={},
        max_length=MOST_FLOORS,
        description=(
            "Fewest instances of the champion from a moment on, for load that comes by the clock: its cron in UTC (minute, hour, day of "
            "the month, month, day of the week, year), such as `{0 7 ? * MON-FRI *: 4, 0 19 ? * MON-FRI *: 2}`. Of the two kinds of day, "
            "one is `?`. One floor must be `min_instances`, so that the others end. A deploy that changes `hosting.scaling` sets "
            "`min_instances` until the next floor begins."
        ),
    )
    scale_in_cooldown_seconds: UpToAnHour = Field(default=300, description="Seconds after a removal of instances before more are removed.")
    scale_out_cooldown_seconds: UpToAnHour = Field(default=60, description="Seconds after an addition of instances before more are added.")

    @property
    def target(self) -> float:
        """Of :attr:`metric`, per instance."""
        return float(getattr(self, _TARGETS[self.metric]))

    @model_validator(mode="after")
    def _target_of_the_metric(self) -> ScalingSettings:
        for metric, field in _TARGETS.items():
            value = getattr(self, field)
            if metric != self.metric and value != type(self).model_fields[field].default:
                raise ValueError(
                    f"hosting.scaling.{field} {value:g} is a target of the metric {metric!r}, and hosting.scaling.metric is "
                    f"{self.metric!r}: leave {field} out, or use hosting.scaling.metric {metric!r}"
                )
        return self

    @model_validator(mode="after")
    def _floors_begin_and_end(self) -> ScalingSettings:
        for cron, fewest in self.floors.items():
            _, _, of_month, _, of_week, _ = cron.split(" ")
            if (of_month == "?") == (of_week == "?"):
                raise ValueError(
                    f"hosting.scaling.floors {cron!r}: of the day of the month {of_month!r} and the day of the week {of_week!r}, exactly "
                    "one must be '?', such as '0 7 ? * MON-FRI *'"
                )
            if not self.min_instances <= fewest <= self.max_instances:
                raise ValueError(
                    f"hosting.scaling.floors {cron!r}: {fewest} must lie within min_instances {self.min_instances} and max_instances "
                    f"{self.max_instances}"
                )
        if self.floors and min(self.floors.values()) > self.min_instances:
            raise ValueError(
                f"hosting.scaling.floors never end: add one of min_instances {self.min_instances}, or raise hosting.scaling.min_instances "
                "for all hours"
            )
        return self
