"""The API in front of the endpoint."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from stacks.settings.fields import Section, Share
from stacks.settings.limits import LONGEST_MODEL_DEADLINE_SECONDS, RESERVABLE_CONCURRENCY


class ApiSettings(Section):
    """The REST API in front of the endpoint, and how much of the account's Lambda concurrency it may take."""

    manage_account_role: bool = True
    rate_limit: int = Field(default=100, ge=1, le=10_000)
    burst_limit: int = Field(default=200, ge=1, le=5_000)
    model_deadline_seconds: int = Field(default=8, ge=4, le=LONGEST_MODEL_DEADLINE_SECONDS)
    reserved_concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = 200
    max_failed_share: Share = 0.05

    @property
    def most_in_flight(self) -> int:
        """Calls that wait at once when the endpoint hangs: a burst, and what the rate lets in until the first ones give up."""
        return self.burst_limit + self.rate_limit * self.model_deadline_seconds

    @model_validator(mode="after")
    def _leaves_others_their_concurrency(self) -> ApiSettings:
        if self.reserved_concurrency is None and self.most_in_flight > RESERVABLE_CONCURRENCY:
            raise ValueError(
                f"reserved_concurrency null with burst_limit {self.burst_limit} + rate_limit {self.rate_limit} x model_deadline_seconds "
                f"{self.model_deadline_seconds} = {self.most_in_flight} calls that wait at once when the endpoint hangs: more than "
                f"{RESERVABLE_CONCURRENCY} leave too little of the account's Lambda concurrency for the functions that roll it back; "
                "lower the limits, or reserve concurrency"
            )
        return self
