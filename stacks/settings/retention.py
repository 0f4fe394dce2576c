"""How long data stays."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stacks.settings.fields import Section


class RetentionSettings(Section):
    """How long data stays, in days."""

    capture_days: int = Field(default=90, ge=1, le=3_650)
    review_days: int = Field(default=365, ge=1, le=3_650)
    prediction_days: int = Field(default=365, ge=1, le=3_650)
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 90
