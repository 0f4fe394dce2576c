"""How the model is served."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.settings.fields import HostingType, Section
from stacks.settings.fleet_shift import FleetShiftSettings
from stacks.settings.limits import LARGEST_STEP_PERCENT, Instances
from stacks.settings.scaling import ScalingSettings


class HostingSettings(Section):
    """The A/B endpoint. Its two variants are always called ``champion`` and ``challenger``."""

    instance_type: HostingType = Field(
        default="ml.m5.large",
        description=(
            "Instance type of both variants. It must be on SageMaker's list for hosting and have an x86 processor. A change "
            "after the first release takes three deploys "
            "([operations.md](operations.md#changes-that-take-more-than-one-deploy))."
        ),
    )
    initial_instance_count: Instances = Field(
        default=2, description="Instances of each variant in the first release. Every later deploy keeps the number that is running."
    )
    initial_weights: dict[Literal["champion", "challenger"], Annotated[float, Field(ge=0, le=1_000)]] = Field(
        default={"champion": 0.9, "challenger": 0.1},
        description=(
            "Traffic weights of the variants in the first release. Every later deploy keeps the weights in use. The "
            "champion's weight must be above 0."
        ),
    )
    capture: Literal["endpoint", "app", "off"] = Field(
        default="endpoint",
        description=(
            "Who captures the requests and answers that the drift check and the reference of a retraining read. `endpoint`: "
            "SageMaker's data capture, which is closed to new customers together with Model Monitor. `app`: a function that "
            "follows the prediction table ([architecture.md](architecture.md#who-captures)). `off`: nobody."
        ),
    )
    capture_percent: int = Field(
        default=100,
        ge=1,
        le=100,
        description="Percentage of requests and answers that is captured. Athena bills the captured data that a drift check scans.",
    )
    scaling: ScalingSettings | None = Field(default=ScalingSettings(), description="`hosting.scaling: null` switches autoscaling off.")
    fleet_shift: FleetShiftSettings = FleetShiftSettings()

    @model_validator(mode="after")
    def _champion_serves(self) -> HostingSettings:
        if set(self.initial_weights) != {"champion", "challenger"}:
            raise ValueError(f"initial_weights has {sorted(self.initial_weights)}: give exactly champion and challenger")
        if self.initial_weights["champion"] <= 0:
            raise ValueError(
                f"initial_weights.champion {self.initial_weights['champion']} must be above 0: with no challenger nothing would serve"
            )
        return self

    @model_validator(mode="after")
    def _percent_of_what_is_captured(self) -> HostingSettings:
        if self.capture == "off" and self.capture_percent != type(self).model_fields["capture_percent"].default:
            raise ValueError(
                f"hosting.capture_percent {self.capture_percent} is a share of what is captured, and hosting.capture 'off' captures "
                "nothing: leave capture_percent out, or use hosting.capture 'endpoint' or 'app'"
            )
        return self

    @property
    def captures(self) -> bool:
        """Whether answers are captured: what drift and the reference of a retraining are made of."""
        return self.capture != "off"

    @model_validator(mode="after")
    def _can_scale(self) -> HostingSettings:
        if self.scaling is None:
            return self
        if self.instance_type.startswith("ml.t"):
            raise ValueError(
                f"instance_type {self.instance_type} cannot autoscale (burstable): set hosting.scaling to null or use an m5/c5 type"
            )
        if not self.scaling.min_instances <= self.initial_instance_count <= self.scaling.max_instances:
            raise ValueError(
                f"initial_instance_count {self.initial_instance_count} must lie within scaling.min_instances "
                f"{self.scaling.min_instances} and scaling.max_instances {self.scaling.max_instances}"
            )
        return self

    @model_validator(mode="after")
    def _steps_are_instances(self) -> HostingSettings:
        """Both variants may be at their fewest instances when an update comes."""
        shift, fewest = self.fleet_shift, self._instances[0]
        if shift.type == "ALL_AT_ONCE" or fewest * shift.step_percent >= 100:
            return self
        field = "scaling.min_instances" if self.scaling and self.scaling.min_instances == fewest else "initial_instance_count"
        larger = -(-100 // fewest)
        alternative = f"step_percent of at least {larger}, or " if larger <= LARGEST_STEP_PERCENT else ""
        raise ValueError(
            f"fleet_shift.step_percent {shift.step_percent} of {field} {fewest} is less than one instance, which fleet_shift.type "
            f"{shift.type} needs for a step: use {alternative}{field} of at least {-(-100 // shift.step_percent)}, or ALL_AT_ONCE"
        )

    @model_validator(mode="after")
    def _alarms_are_in_time(self) -> HostingSettings:
        shift = self.fleet_shift
        bake = shift.termination_wait_seconds if shift.type == "ALL_AT_ONCE" else shift.wait_seconds
        if shift.alarm_window_seconds > bake:
            raise ValueError(
                f"fleet_shift alarm window of {shift.alarm_window_seconds} s (alarm_period_seconds x alarm_evaluation_periods) is longer "
                f"than the bake of {bake} s, so the alarm could never roll a bad fleet back: shorten the window or lengthen the wait"
            )
        waits = shift.steps(*self._instances) * shift.wait_seconds + shift.termination_wait_seconds
        if shift.max_execution_seconds <= waits:
            raise ValueError(
                f"fleet_shift.max_execution_seconds {shift.max_execution_seconds} must exceed the {waits} s that the steps wait"
            )
        return self

    @property
    def _instances(self) -> tuple[int, int]:
        """Fewest and most instances that a variant can have."""
        if self.scaling is None:
            return self.initial_instance_count, self.initial_instance_count
        return self.scaling.min_instances, self.scaling.max_instances
