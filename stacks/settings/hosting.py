"""How the model is served: instances, fleet shifts, capture, the API in front."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.settings.fields import HostingType, Section, Share

_SHARED_CONCURRENCY = 900


class ScalingSettings(Section):
    """Target tracking of one variant's instances."""

    min_instances: int = Field(default=2, ge=1, le=100)
    max_instances: int = Field(default=4, ge=1, le=100)
    invocations_per_instance_per_minute: int = Field(default=600, ge=1, le=100_000)
    scale_in_cooldown_seconds: int = Field(default=300, ge=0, le=3_600)
    scale_out_cooldown_seconds: int = Field(default=60, ge=0, le=3_600)


class FleetShiftSettings(Section):
    """Blue/green shift of a fleet when the endpoint configuration changes (layer one of traffic shifting)."""

    type: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"] = "CANARY"
    step_percent: int = Field(default=50, ge=10, le=50)
    wait_seconds: int = Field(default=300, ge=0, le=3_600)
    termination_wait_seconds: int = Field(default=120, ge=0, le=3_600)
    max_execution_seconds: int = Field(default=3_600, ge=600, le=28_800)
    alarm_period_seconds: Literal[60, 120, 300] = 60  # hosting publishes its invocation metrics once a minute
    alarm_evaluation_periods: int = Field(default=2, ge=1, le=10)
    max_error_rate: Share = 0.05
    max_latency_ms: int = Field(default=2_000, ge=1, le=17_000)

    @property
    def alarm_window_seconds(self) -> int:
        """How long something must be wrong before an alarm goes off."""
        return self.alarm_period_seconds * self.alarm_evaluation_periods

    def steps(self, fewest: int, most: int) -> int:
        """Steps of a shift at worst, with any number of instances in between; a step is a whole number of instances."""
        if self.type == "LINEAR":
            return max(-(-count // max(1, count * self.step_percent // 100)) for count in range(fewest, most + 1))
        return 2 if self.type == "CANARY" else 1


class HostingSettings(Section):
    """The A/B endpoint. Variant names are always ``champion`` and ``challenger`` and cannot be set."""

    instance_type: HostingType = "ml.m5.large"
    initial_instance_count: int = Field(default=2, ge=1, le=100)
    initial_weights: dict[Literal["champion", "challenger"], Annotated[float, Field(ge=0, le=1_000)]] = Field(
        default={"champion": 0.9, "challenger": 0.1}
    )
    capture: Literal["endpoint", "app", "off"] = "endpoint"
    capture_percent: int = Field(default=100, ge=1, le=100)
    scaling: ScalingSettings | None = ScalingSettings()
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
        alternative = f"step_percent of at least {larger}, or " if larger <= 50 else ""
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


class ApiSettings(Section):
    """The REST API in front of the endpoint, and how much of the account's Lambda concurrency it may take."""

    manage_account_role: bool = True
    rate_limit: int = Field(default=100, ge=1, le=10_000)
    burst_limit: int = Field(default=200, ge=1, le=5_000)
    model_deadline_seconds: int = Field(default=8, ge=4, le=18)
    reserved_concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = 200
    max_failed_share: Share = 0.05

    @property
    def most_in_flight(self) -> int:
        """Calls that wait at once when the endpoint hangs: a burst, and what the rate lets in until the first ones give up."""
        return self.burst_limit + self.rate_limit * self.model_deadline_seconds

    @model_validator(mode="after")
    def _leaves_others_their_concurrency(self) -> ApiSettings:
        """Lambda's default quota is 1,000 concurrent executions, 100 of which stay unreserved (Lambda developer guide, quotas)."""
        if self.reserved_concurrency is None and self.most_in_flight > _SHARED_CONCURRENCY:
            raise ValueError(
                f"reserved_concurrency null with burst_limit {self.burst_limit} + rate_limit {self.rate_limit} x model_deadline_seconds "
                f"{self.model_deadline_seconds} = {self.most_in_flight} calls that wait at once when the endpoint hangs: more than "
                f"{_SHARED_CONCURRENCY} leave too little of the account's Lambda concurrency for the functions that roll it back; "
                "lower the limits, or reserve concurrency"
            )
        return self
