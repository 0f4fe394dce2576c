"""When drift is checked, and when the drift alarm goes off."""

from __future__ import annotations

from pydantic import Field, model_validator

from stacks.settings.fields import Section
from stacks.settings.limits import MINUTES_OF_A_DAY, AlarmPeriods, ScheduleMinutes


class DriftSettings(Section):
    """The drift check compares the served texts with the champion's own baseline.

    With ``hosting.capture: off`` there is no drift check. Then only ``window_predictions`` and ``false_alarm_rate`` may be
    set: the evaluation of a candidate computes its baseline with them.
    """

    window_predictions: int = Field(
        default=250, ge=50, le=10_000, description="Number of predictions that one check looks at, the newest ones."
    )
    schedule_minutes: ScheduleMinutes = Field(
        default=60, description="Minutes between two checks. This is also the period of the drift alarm."
    )
    false_alarm_rate: float = Field(
        default=0.01,
        ge=0.001,
        le=0.2,
        description=(
            "Nominal probability that one check reports drift although there is none. It is the rate for windows of whole "
            "groups from the baseline's texts."
        ),
    )
    reference_predictions: int = Field(
        default=1_000,
        ge=100,
        le=20_000,
        description=(
            "Number of predictions that a retraining looks at, the newest ones. Those of held-out groups, 1.5 x "
            "`retraining.holdout_share` of them, become the new model's baseline. This is a number of texts, not a time span."
        ),
    )
    datapoints_to_alarm: AlarmPeriods = Field(
        default=1,
        description="Number of periods above the threshold after which the alarm goes off. It must be at most `evaluation_periods`.",
    )
    evaluation_periods: AlarmPeriods = Field(
        default=1,
        description=(
            "Number of periods that the alarm looks at, the newest ones. "
            "Together they may be a day long, or with `schedule_minutes` of 60 or more a week."
        ),
    )
    unassessed_hours: int = Field(
        default=24,
        ge=1,
        le=168,
        description=(
            "Hours without a full window after which an alarm says that drift is not assessed. They must be long enough for two checks."
        ),
    )

    @property
    def unassessed_period_minutes(self) -> int:
        """Period of the alarm that says that drift is not assessed.

        It holds two checks: a schedule is no clock, and a period without a check would count as a full window.
        It is an hour or more, because an alarm with a shorter one looks back a day only.
        """
        return min(max(60, 2 * self.schedule_minutes), MINUTES_OF_A_DAY)

    @model_validator(mode="after")
    def _a_check_within_its_hours(self) -> DriftSettings:
        least = -(-self.unassessed_period_minutes // 60)
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
        longest = 7 * MINUTES_OF_A_DAY if self.schedule_minutes >= 60 else MINUTES_OF_A_DAY
        if self.schedule_minutes * self.evaluation_periods > longest:
            raise ValueError(
                f"schedule_minutes {self.schedule_minutes} x evaluation_periods {self.evaluation_periods} is longer than the {longest} "
                "minutes that a CloudWatch alarm looks back (a day for periods below an hour, else a week): lower one of them"
            )
        return self
