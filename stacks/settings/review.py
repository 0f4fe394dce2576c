"""What people are asked, and how."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from contracts import bounds
from stacks.settings.fields import Section, Share
from stacks.settings.limits import TaskSeconds
from stacks.settings.workforce import WorkforceSettings


class ReviewSettings(Section):
    """What is sent to people, and how they are asked. With ``backend: none`` nobody is asked and the review stack is not made."""

    backend: Literal["a2i", "none"] = "a2i"
    workforce: WorkforceSettings = WorkforceSettings()
    threshold: Literal["model"] | Share = "model"
    target_share: float = Field(default=0.20, ge=bounds.REVIEW_SHARE.low, le=bounds.REVIEW_SHARE.high)
    audit_share: Share = 0.02
    workers_per_task: int = Field(default=3, ge=1, le=3)
    task_time_limit_seconds: TaskSeconds = 3_600
    task_availability_seconds: int = Field(default=86_400 * 3, ge=3_600, le=864_000)

    @model_validator(mode="after")
    def _tasks_can_be_finished(self) -> ReviewSettings:
        if self.task_time_limit_seconds > self.task_availability_seconds:
            raise ValueError(
                f"task_time_limit_seconds {self.task_time_limit_seconds} must be at most task_availability_seconds "
                f"{self.task_availability_seconds}: a task would be gone before its worker's time is up"
            )
        return self

    @model_validator(mode="after")
    def _nobody_is_asked(self) -> ReviewSettings:
        if self.backend != "none":
            return self
        for field in ("threshold", "audit_share"):
            value = getattr(self, field)
            if field in self.model_fields_set and value != 0:
                raise ValueError(
                    f"review.{field} {value} sends predictions to people, and review.backend 'none' asks nobody: leave {field} out "
                    "(or set it to 0), or use review.backend 'a2i'"
                )
        if self.workforce.mode == "import":
            raise ValueError(
                "review.workforce imports a work team, and review.backend 'none' asks nobody: leave review.workforce out, or use "
                "review.backend 'a2i'"
            )
        return self

    @property
    def asks_people(self) -> bool:
        """Whether there is a review stack: a queue of requests, and people behind it."""
        return self.backend != "none"

    @property
    def asked_below(self) -> Literal["model"] | float:
        """The threshold that predictions are compared with; 0.0, below which no confidence is, where nobody is asked."""
        return self.threshold if self.asks_people else 0.0

    @property
    def audited_share(self) -> float:
        """The share of confident answers that people really see."""
        return self.audit_share if self.asks_people else 0.0
