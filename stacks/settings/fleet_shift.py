"""How a new fleet takes over from the old one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stacks.settings.fields import Section, Share


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
