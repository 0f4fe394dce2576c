"""The API in front of the endpoint."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from stacks.settings.fields import Section, Share
from stacks.settings.limits import DEFAULT_CONCURRENCY, LONGEST_MODEL_DEADLINE_SECONDS, RESERVABLE_CONCURRENCY, UNRESERVED_CONCURRENCY


class ApiSettings(Section):
    """The REST API in front of the endpoint, and how much of the account's Lambda concurrency it may take.

    When the endpoint hangs, every call waits for ``model_deadline_seconds``. Without a limit, the waiting calls take the
    account's whole concurrency. Then Lambda throttles the functions that roll the endpoint back.
    """

    manage_account_role: bool = Field(
        default=True,
        description=(
            "`true`: the app sets the role with which API Gateway writes logs. An account has one such role for all APIs of "
            "a region, and without it no stage may log. `false`: the account has the role already, and the app does not "
            "change it."
        ),
    )
    rate_limit: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description=(
            "Requests per second of all callers together. More requests get HTTP status 429. The default is the most that "
            "both variants handle at the target of `hosting.scaling`, rounded up."
        ),
    )
    burst_limit: int = Field(default=200, ge=1, le=5_000, description="Requests at once. More requests get HTTP status 429.")
    model_deadline_seconds: int = Field(
        default=8,
        ge=4,
        le=LONGEST_MODEL_DEADLINE_SECONDS,
        description="Seconds for all tries of one model call together. After that the caller gets HTTP status 503.",
    )
    reserved_concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        default=200,
        description=(
            "Calls at once that the prediction function may serve. Lambda reserves this concurrency for it, and more calls "
            "get HTTP status 503. It must be at least `burst_limit`, and at least `rate_limit` x "
            f"`hosting.fleet_shift.max_latency_ms` / 1000. Lambda keeps {UNRESERVED_CONCURRENCY} of an account's concurrent "
            f"executions unreserved, so all stages of an account together can reserve {RESERVABLE_CONCURRENCY} of the default "
            f"quota of {DEFAULT_CONCURRENCY:,}. `null` reserves nothing, for new accounts with a quota below 300. With "
            f"`null`, `burst_limit` + `rate_limit` x `model_deadline_seconds` must be at most {RESERVABLE_CONCURRENCY}."
        ),
    )
    max_failed_share: Share = Field(
        default=0.05, description="Share of requests without a prediction, over five minutes, above which an alarm goes off."
    )

    @property
    def most_in_flight(self) -> int:
        """Most calls that wait at one time when the endpoint hangs: a burst, and what the rate allows until the first calls time out."""
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
