"""Bulk labelling."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stacks.settings.fields import Section
from stacks.settings.limits import TaskSeconds


class LabelingSettings(Section):
    """Bulk labelling: thousands of texts become labels (`python -m cli label`)."""

    enabled: bool = Field(default=True, description="Whether texts can be labelled in bulk. It needs the people of the review stack.")
    backend: Literal["ground_truth", "hosted"] = Field(
        default="ground_truth",
        description=(
            "Who asks people. `ground_truth`: Amazon SageMaker Ground Truth, which is closed to new AWS customers since 2026-07-30; it "
            "needs `review.backend: a2i`. `hosted`: the page of `review.backend: hosted`."
        ),
    )
    workers_per_object: int = Field(
        default=3,
        ge=1,
        le=9,
        description="Number of people who label each text. With `backend: hosted` the most; `review.answer_rule` may ask fewer.",
    )
    task_time_limit_seconds: TaskSeconds = Field(default=3_600, description="Seconds that a person has for one task.")
