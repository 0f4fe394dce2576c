"""How long data stays."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stacks.settings.fields import Section

_Days = Annotated[int, Field(ge=1, le=3_650)]


class RetentionSettings(Section):
    """How long data is kept."""

    capture_days: _Days = Field(default=90, description="Days for captured requests and answers.")
    review_days: _Days = Field(default=365, description="Days for people's answers.")
    prediction_days: _Days = Field(default=365, description="Days for the rows of the prediction table.")
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = Field(
        default=90, description="Days for the logs of functions and state machines."
    )
