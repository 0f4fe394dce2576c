"""What a hyper-parameter search varies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from model_code import bounds
from stacks.settings.fields import Section
from stacks.settings.limits import TrainingJobs


class FloatRange(Section):
    """The continuous range of the learning rate; SageMaker takes its ends as strings."""

    low: float = Field(gt=bounds.LEARNING_RATE.low, le=bounds.LEARNING_RATE.high)
    high: float = Field(gt=bounds.LEARNING_RATE.low, le=bounds.LEARNING_RATE.high)
    scaling: Literal["Linear", "Logarithmic"] = "Logarithmic"

    @model_validator(mode="after")
    def _ordered(self) -> FloatRange:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


TrainedLayers = Annotated[tuple[Annotated[str, Field(pattern=r"^([1-9]|all)$")], ...], Field(min_length=1, max_length=10)]
"""How many of the last layers are trained, or ``all``."""
_Epochs = Annotated[int, Field(ge=int(bounds.EPOCHS.low), le=int(bounds.EPOCHS.high))]
Epochs = Annotated[tuple[_Epochs, ...], Field(min_length=1, max_length=30)]


class RetrainingSearch(Section):
    """The search of a retraining: the champion goes on learning with the layers it has, so less is varied in fewer jobs."""

    max_jobs: TrainingJobs = 2
    learning_rate: FloatRange = FloatRange(low=5e-5, high=2e-4)
    trained_layers: TrainedLayers = ("3", "all")
    epochs: Epochs = (2, 3)
