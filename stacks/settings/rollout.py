"""How a challenger is compared with the champion, how far that goes without a person, and when it ends."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stacks.settings.fields import Section, Share

RolloutPolicy = Literal["shadow", "canary", "blue_green"]
Approval = Literal["automatic", "manual"]
MOST_LOOKS = 1_008
"""Of one rollout, a week of one every ten minutes: an execution's history holds 25,000 events, a look takes eleven of them, and three
fleet shifts may take half."""
_JUDGE_ONLY = ("margin", "error", "paired_share", "reviews_a_day", "max_hours", "at_end")


class RolloutSettings(Section):
    """How the challenger is compared with the champion, and what follows.

    This is the second layer of traffic shifting. [contracts.md](contracts.md#a-rollout) says how a rollout is judged.
    """

    policy: RolloutPolicy = Field(
        default="canary",
        description=(
            "`shadow`: the challenger answers nobody; both variants score the same texts, and people judge where they differ. `canary`: "
            "the same, and the challenger's share of the traffic rises by `weight_steps` meanwhile. `blue_green`: the challenger replaces "
            "the champion at once behind the fleet's canary and alarms; people judge nothing. A rollout's input may name another policy."
        ),
    )
    approval: Approval = Field(
        default="automatic",
        description=(
            "`automatic`: the challenger is promoted when the evidence says so. `manual`: it is promoted when a person approves after "
            "that. A rollout's input may name another approval."
        ),
    )
    weight_steps: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=(0.1, 0.3, 0.5),
        min_length=1,
        max_length=10,
        description=(
            "Only with `canary`: the challenger's share of the traffic in each step. The shares must rise. A promotion need not wait for "
            "the last one."
        ),
    )
    step_seconds: int = Field(
        default=600,
        ge=60,
        le=86_400,
        description=(
            "Seconds between two looks of the judge; with `blue_green`, the seconds for which the replacement is watched. It must be at "
            "least `hosting.fleet_shift.alarm_period_seconds` x `hosting.fleet_shift.alarm_evaluation_periods`, the time that a variant's "
            f"alarm needs. `max_hours` must have at most {MOST_LOOKS} of them, since the history of an execution holds no more."
        ),
    )
    margin: float = Field(
        default=0.05,
        ge=0.005,
        le=0.5,
        description=(
            "Loss of accuracy that must be refuted before the challenger is promoted, as a share of all texts. With 0.05 it is promoted "
            "once it surely loses fewer than 5 of 100 texts to the champion. A margin of 0.03 needs two to three times the labels."
        ),
    )
    error: float = Field(
        default=0.05,
        ge=0.001,
        le=0.2,
        description=(
            "Probability, at most, that a challenger with a loss of `margin` or more is promoted; and that one without a loss is rolled "
            "back for its answers. The guardrails together have the same probability of a false alarm. It holds however often the judge "
            "looks."
        ),
    )
    paired_share: float = Field(
        default=1.0, gt=0, le=1, description="Share of the answered texts that the other variant scores too, while a challenger is judged."
    )
    reviews_a_day: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description=(
            "Most texts with two different answers that people are asked about in one day (UTC) of a rollout. When they are spent, no text "
            "is compared until the next day."
        ),
    )
    notice_seconds: int = Field(
        default=30,
        ge=1,
        le=300,
        description=(
            "So late, in seconds, the prediction function notices that a comparison has begun, that the challenger's share has changed, or "
            "that it has ended. Each of the function's processes reads Parameter Store that often. Parameter Store allows an account 40 "
            "reads per second and Region, so 200 processes at once, the default of `api.reserved_concurrency`, need at least 5 seconds. A "
            "read that is refused changes nothing: the process goes on with what it has read before."
        ),
    )
    max_hours: float = Field(
        default=168,
        gt=0,
        le=720,
        description=(
            "Hours after which a rollout without enough evidence, or without approval, ends; `at_end` says how. It must hold every step of "
            "`weight_steps`, and at most `retention.prediction_days`."
        ),
    )
    at_end: Literal["keep_champion", "promote_if_equivalent"] = Field(
        default="keep_champion",
        description=(
            "What follows when `max_hours` have passed without a decision. `keep_champion`: the rollout ends as inconclusive. "
            "`promote_if_equivalent`: the challenger is promoted if a loss of twice the `margin` has been refuted, else the rollout ends "
            "as inconclusive."
        ),
    )
    min_invocations: int = Field(
        default=50, ge=1, le=1_000_000, description="Fewest invocations of the challenger in a step. With fewer the step is held."
    )
    max_error_rate: Share = Field(
        default=0.05,
        description=(
            "Share of the challenger's invocations in a step that may fail. The challenger is rolled back when more fail than chance "
            "explains, unless the champion fails as often."
        ),
    )
    max_latency_ratio: float = Field(
        default=2.0,
        ge=1,
        le=100,
        description=(
            "How many times as long as the champion's an answer of the challenger may take, by the means of each minute (`ModelLatency`). "
            "The challenger is rolled back when it is more in most minutes, beyond chance."
        ),
    )
    max_confidence_loss: Share = Field(
        default=0.2,
        description=(
            "How much less sure than the champion the challenger may be on the texts where they differ, in confidence. The challenger is "
            "rolled back when it is more, beyond chance."
        ),
    )

    @model_validator(mode="after")
    def _steps_rise(self) -> RolloutSettings:
        if list(self.weight_steps) != sorted(set(self.weight_steps)):
            raise ValueError(f"weight_steps {list(self.weight_steps)} must rise from step to step")
        return self

    @model_validator(mode="after")
    def _steps_belong_to_a_canary(self) -> RolloutSettings:
        if self.policy != "canary" and self._given("weight_steps"):
            share = "answers nobody" if self.policy == "shadow" else "takes all of the traffic at once"
            raise ValueError(
                f"rollout.weight_steps {list(self.weight_steps)} belong to a canary, and with rollout.policy {self.policy!r} the "
                f"challenger {share}: leave weight_steps out, or use rollout.policy 'canary'"
            )
        return self

    @model_validator(mode="after")
    def _people_judge_what_is_compared(self) -> RolloutSettings:
        if self.policy != "blue_green":
            return self
        for field in filter(self._given, _JUDGE_ONLY):
            raise ValueError(
                f"rollout.{field} {getattr(self, field)!r} is about the comparison of two variants, and with rollout.policy 'blue_green' "
                f"the challenger replaces the champion without one: leave {field} out, or use rollout.policy 'shadow' or 'canary'"
            )
        return self

    @model_validator(mode="after")
    def _looks_fit(self) -> RolloutSettings:
        if self.policy == "blue_green":
            return self
        seconds = self.max_hours * 3_600
        steps = len(self.weight_steps) if self.policy == "canary" else 1
        if seconds < steps * self.step_seconds:
            raise ValueError(
                f"rollout.max_hours {self.max_hours:g} must be at least {steps * self.step_seconds / 3_600:.3g}, which {steps} x "
                f"rollout.step_seconds {self.step_seconds} take: the rollout would end before its last step is judged"
            )
        if seconds > MOST_LOOKS * self.step_seconds:
            raise ValueError(
                f"rollout.max_hours {self.max_hours:g} must be at most {MOST_LOOKS * self.step_seconds / 3_600:g} with "
                f"rollout.step_seconds {self.step_seconds}: the history of an execution holds {MOST_LOOKS} looks; lower max_hours, or "
                "look less often"
            )
        return self

    def _given(self, field: str) -> bool:
        return bool(getattr(self, field) != RolloutSettings.model_fields[field].default)
