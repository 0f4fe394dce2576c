"""Bulk labelling."""

from __future__ import annotations

from pydantic import Field

from stacks.settings.fields import Section
from stacks.settings.limits import TaskSeconds


class LabelingSettings(Section):
    """Bulk labelling with Ground Truth (closed to new AWS customers since 2026-07-30)."""

    enabled: bool = True
    workers_per_object: int = Field(default=3, ge=1, le=9)
    task_time_limit_seconds: TaskSeconds = 3_600
