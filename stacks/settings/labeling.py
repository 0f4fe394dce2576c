"""Bulk labelling."""

from __future__ import annotations

from pydantic import Field

from stacks.settings.fields import Section
from stacks.settings.limits import TaskSeconds


class LabelingSettings(Section):
    """Bulk labelling with Ground Truth, which is closed to new AWS customers since 2026-07-30."""

    enabled: bool = Field(
        default=True, description="Whether there is a stack for Ground Truth jobs. It needs the work team of the review stack."
    )
    workers_per_object: int = Field(default=3, ge=1, le=9, description="Number of people who label each text.")
    task_time_limit_seconds: TaskSeconds = Field(default=3_600, description="Seconds that a person has for one task.")
