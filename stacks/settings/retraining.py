"""What starts a retraining, and what it learns from."""

from __future__ import annotations

from pydantic import Field

from model_code import bounds
from stacks.settings.fields import Section
from stacks.settings.limits import ScheduleMinutes


class RetrainingSettings(Section):
    """What starts a retraining, and how its dataset is made."""

    on_drift: bool = True
    min_new_labels: int = Field(default=200, ge=20, le=1_000_000)
    check_minutes: ScheduleMinutes = 60
    holdout_share: float = Field(default=0.2, ge=0.0, le=0.5)
    replay_rows: int = Field(default=500, ge=int(bounds.REPLAY_ROWS.low), le=int(bounds.REPLAY_ROWS.high))
