"""How long data stays."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stacks.settings.fields import Section

_Days = Annotated[int, Field(ge=1, le=3_650)]


class RetentionSettings(Section):
    """How long data stays, in days."""

    capture_days: _Days = 90
    review_days: _Days = 365
    prediction_days: _Days = 365
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 90
