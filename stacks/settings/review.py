"""What people are asked, and how: review, workforce, bulk labelling."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from contracts import bounds
from stacks.settings.fields import Section, Share

_PRIVATE_TEAM = re.compile(r"workteam/private-crowd/[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class WorkforceSettings(Section):
    """One private workforce per account and region: create it here, or import the workteam that exists."""

    mode: Literal["create", "import"] = "create"
    workteam_arn: Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:workteam/.+$")] | None = None

    @model_validator(mode="after")
    def _import_needs_arn(self) -> WorkforceSettings:
        if (self.mode == "import") != (self.workteam_arn is not None):
            raise ValueError("workforce.workteam_arn is required with mode 'import' and not allowed with mode 'create'")
        return self

    @model_validator(mode="after")
    def _team_is_private(self) -> WorkforceSettings:
        """A task of the public crowd needs a price (PublicWorkforceTaskPrice), which the app sets nowhere."""
        if self.workteam_arn is None:
            return self
        if self.workteam_arn.split(":")[1] != "aws":
            raise ValueError(
                f"workforce.workteam_arn {self.workteam_arn} is of the partition {self.workteam_arn.split(':')[1]}: every region that "
                "the settings allow is of the partition aws, so the ARN must begin with arn:aws:"
            )
        if not _PRIVATE_TEAM.fullmatch(self.workteam_arn.split(":", 5)[5]):
            raise ValueError(
                f"workforce.workteam_arn {self.workteam_arn} is no private work team: the tasks of public-crowd and vendor-crowd have a "
                "price that the app does not set; name a team of the form workteam/private-crowd/<name>, as `aws sagemaker "
                "list-workteams` shows it"
            )
        return self

    @property
    def team_region(self) -> str | None:
        """Region of the imported team."""
        return self.workteam_arn.split(":")[3] if self.workteam_arn else None


class ReviewSettings(Section):
    """What is sent to people, and how they are asked. With ``backend: none`` nobody is asked and the review stack is not made."""

    backend: Literal["a2i", "none"] = "a2i"
    workforce: WorkforceSettings = WorkforceSettings()
    threshold: Literal["model"] | Share = "model"
    target_share: float = Field(default=0.20, ge=bounds.REVIEW_SHARE.low, le=bounds.REVIEW_SHARE.high)
    audit_share: Share = 0.02
    workers_per_task: int = Field(default=3, ge=1, le=3)
    task_time_limit_seconds: int = Field(default=3_600, ge=30, le=28_800)
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


class LabelingSettings(Section):
    """Bulk labelling with Ground Truth (closed to new AWS customers since 2026-07-30)."""

    enabled: bool = True
    workers_per_object: int = Field(default=3, ge=1, le=9)
    task_time_limit_seconds: int = Field(default=3_600, ge=30, le=28_800)
