"""What starts a retraining, and what it learns from."""

from __future__ import annotations

from pydantic import Field

from contracts import bounds
from stacks.settings.fields import Section
from stacks.settings.limits import ScheduleMinutes


class RetrainingSettings(Section):
    """What starts a retraining, and how its dataset is made."""

    on_drift: bool = Field(
        default=True, description="Whether the drift alarm starts a retraining. `true` needs a `hosting.capture` other than `off`."
    )
    min_new_labels: int = Field(default=200, ge=20, le=1_000_000, description="Fewest new labels that a retraining needs.")
    check_minutes: ScheduleMinutes = Field(default=60, description="Minutes between two counts of the new labels.")
    holdout_share: float = Field(
        default=0.2, ge=0.0, le=0.5, description="Share of the new labels that goes to the test set. Half as many go to the validation set."
    )
    replay_rows: int = Field(
        default=500,
        ge=int(bounds.REPLAY_ROWS.low),
        le=int(bounds.REPLAY_ROWS.high),
        description="Most old training rows that a retraining uses again, beside all new ones. 0: all of them.",
    )
    max_worker_share: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description=(
            "Largest share of the new labels that one person may have given; a text counts for everybody who answered it, in equal parts. "
            "Labels are left out until it holds, and counted; they do not come back in a later version. Where it cannot hold, nothing is "
            "retrained. 1: no cap."
        ),
    )
