"""How a new fleet takes over from the old one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stacks.settings.fields import Section, Share
from stacks.settings.limits import LARGEST_STEP_PERCENT, LONGEST_MODEL_DEADLINE_SECONDS, AlarmPeriods, UpToAnHour, slowest_answer_ms


class FleetShiftSettings(Section):
    """How a new fleet takes over from the old one when the endpoint configuration changes (blue/green).

    This is the first layer of traffic shifting.
    """

    type: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"] = Field(
        default="CANARY",
        description=(
            "How the new fleet gets the traffic. `CANARY`: a first step, then the rest. `LINEAR`: equal steps. "
            "`ALL_AT_ONCE`: everything at once. `CANARY` and `LINEAR` need at least two instances of each variant."
        ),
    )
    step_percent: int = Field(
        default=50, ge=10, le=LARGEST_STEP_PERCENT, description="Percentage of the fleet in one step. This must be at least one instance."
    )
    wait_seconds: UpToAnHour = Field(
        default=300, description="Seconds between two steps (the bake). SageMaker watches the rollback alarms during this time."
    )
    termination_wait_seconds: UpToAnHour = Field(default=120, description="Seconds before the old fleet is removed.")
    max_execution_seconds: int = Field(
        default=3_600,
        ge=600,
        le=28_800,
        description="Longest time of a whole shift, in seconds. It must exceed the time that all steps wait.",
    )
    # Hosting publishes its invocation metrics once a minute.
    alarm_period_seconds: Literal[60, 120, 300] = Field(default=60, description="Period of the rollback alarms, in seconds.")
    alarm_evaluation_periods: AlarmPeriods = Field(
        default=2,
        description=(
            "Number of bad periods in a row after which a rollback alarm goes off. Together they must be no longer than "
            "`wait_seconds`, or with `ALL_AT_ONCE` than `termination_wait_seconds`."
        ),
    )
    max_error_rate: Share = Field(default=0.05, description="Share of failed invocations above which a rollback alarm goes off.")
    max_latency_ms: int = Field(
        default=2_000,
        ge=1,
        le=slowest_answer_ms(LONGEST_MODEL_DEADLINE_SECONDS),
        description=(
            "Latency in milliseconds (90th percentile) above which a rollback alarm goes off. It must be at least one second "
            "less than `api.model_deadline_seconds`."
        ),
    )

    @property
    def alarm_window_seconds(self) -> int:
        """How long something must be wrong before an alarm goes off."""
        return self.alarm_period_seconds * self.alarm_evaluation_periods

    def steps(self, fewest: int, most: int) -> int:
        """Steps of a shift at worst, with any number of instances in between; a step is a whole number of instances."""
        if self.type == "LINEAR":
            return max(-(-count // max(1, count * self.step_percent // 100)) for count in range(fewest, most + 1))
        return 2 if self.type == "CANARY" else 1
