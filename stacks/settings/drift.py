"""When drift is checked, and when it rings."""

from __future__ import annotations

from pydantic import Field, model_validator

from stacks.settings.fields import Section


class DriftSettings(Section):
    """Drift of the served texts against the champion's own baseline."""

    window_predictions: int = Field(default=250, ge=50, le=10_000)
    schedule_minutes: int = Field(default=60, ge=5, le=1_440)
    false_alarm_rate: float = Field(default=0.01, ge=0.001, le=0.2)
    reference_predictions: int = Field(default=1_000, ge=100, le=20_000)
    datapoints_to_alarm: int = Field(default=1, ge=1, le=10)
    evaluation_periods: int = Field(default=1, ge=1, le=10)
    unassessed_hours: int = Field(default=24, ge=1, le=168)

    @model_validator(mode="after")
    def _a_check_within_its_hours(self) -> DriftSettings:
        least = -(-min(2 * self.schedule_minutes, 1_440) // 60)
        if self.unassessed_hours < least:
            raise ValueError(
                f"unassessed_hours {self.unassessed_hours} holds less than two checks of schedule_minutes {self.schedule_minutes}: "
                f"use at least {least}"
            )
        return self

    @model_validator(mode="after")
    def _m_of_n(self) -> DriftSettings:
        if self.datapoints_to_alarm > self.evaluation_periods:
            raise ValueError(f"datapoints_to_alarm {self.datapoints_to_alarm} must be at most evaluation_periods {self.evaluation_periods}")
        longest = 7 * 1_440 if self.schedule_minutes >= 60 else 1_440
        if self.schedule_minutes * self.evaluation_periods > longest:
            raise ValueError(
                f"schedule_minutes {self.schedule_minutes} x evaluation_periods {self.evaluation_periods} is longer than the {longest} "
                "minutes that a CloudWatch alarm looks back (a day for periods below an hour, else a week): lower one of them"
            )
        return self
