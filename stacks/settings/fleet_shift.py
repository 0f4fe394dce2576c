"""How a new fleet takes over from the old one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stacks.settings.fields import Section, Share
from stacks.settings.limits import LARGEST_STEP_PERCENT, LONGEST_MODEL_DEADLINE_SECONDS, AlarmPeriods, UpToAnHour, slowest_answer_ms


class FleetShiftSettings(Section):
    """Blue/green shift of a fleet when the endpoint configuration changes (layer one of traffic shifting)."""

    type: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"] = "CANARY"
    step_percent: int = Field(default=50, ge=10, le=LARGEST_STEP_PERCENT)
    wait_seconds: UpToAnHour = 300
    termination_wait_seconds: UpToAnHour = 120
    max_execution_seconds: int = Field(default=3_600, ge=600, le=28_800)
    alarm_period_seconds: Literal[60, 120, 300] = 60  # hosting publishes its invocation metrics once a minute
    alarm_evaluation_periods: AlarmPeriods = 2
    max_error_rate: Share = 0.05
    max_latency_ms: int = Field(default=2_000, ge=1, le=slowest_answer_ms(LONGEST_MODEL_DEADLINE_SECONDS))

    @property
    def alarm_window_seconds(self) -> int:
        """How long something must be wrong before an alarm goes off."""
        return self.alarm_period_seconds * self.alarm_evaluation_periods

    def steps(self, fewest: int, most: int) -> int:
        """Steps of a shift at worst, with any number of instances in between; a step is a whole number of instances."""
        if self.type == "LINEAR":
            return max(-(-count // max(1, count * self.step_percent // 100)) for count in range(fewest, most + 1))
        return 2 if self.type == "CANARY" else 1
