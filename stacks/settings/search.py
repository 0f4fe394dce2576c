"""What a hyper-parameter search varies."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from contracts import bounds
from stacks.settings.fields import Section
from stacks.settings.limits import TrainingJobs


class FloatRange(Section):
    """A range of learning rates."""

    low: float = Field(gt=bounds.LEARNING_RATE.low, le=bounds.LEARNING_RATE.high, description="Lowest learning rate.")
    high: float = Field(
        gt=bounds.LEARNING_RATE.low, le=bounds.LEARNING_RATE.high, description="Highest learning rate. It must be above `low`."
    )
    scaling: Literal["Linear", "Logarithmic"] = Field(
        default="Logarithmic",
        description=(
            "How the search spreads its tries over the range. `Logarithmic`: every power of ten gets as many. `Linear`: "
            "every part of the same width gets as many."
        ),
    )

    @model_validator(mode="after")
    def _ordered(self) -> FloatRange:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} must be below high {self.high}")
        return self


TrainedLayers = Annotated[tuple[Annotated[str, Field(pattern=bounds.TRAINED_LAYERS_PATTERN)], ...], Field(min_length=1, max_length=10)]
"""How many of the last layers are trained, or ``all``."""
_Layers = Annotated[int, Field(ge=int(bounds.LAYERS.low), le=int(bounds.LAYERS.high))]
Layers = Annotated[tuple[_Layers, ...], Field(min_length=1, max_length=24)]
_Epochs = Annotated[int, Field(ge=int(bounds.EPOCHS.low), le=int(bounds.EPOCHS.high))]
Epochs = Annotated[tuple[_Epochs, ...], Field(min_length=1, max_length=30)]


class RetrainingSearch(Section):
    """The search of a retraining.

    The champion is trained further with the layers that it has. So the search varies less and needs fewer jobs.
    """

    max_jobs: TrainingJobs = Field(default=2, description="Most training jobs in the tuning job of a retraining.")
    learning_rate: FloatRange = Field(
        default=FloatRange(low=5e-5, high=2e-4),
        description=(
            "The search of a retraining may try any learning rate from `low` to `high`. With a learning rate of 4e-4 the model "
            "forgot the old texts."
        ),
    )
    trained_layers: TrainedLayers = Field(
        default=("3", "all"),
        description=(
            "Choices for how many of the champion's layers are trained, counted from the last one. `all`: every layer is "
            "trained. Write numbers in quotation marks."
        ),
    )
    epochs: Epochs = Field(default=(2, 3), description="Choices for the number of passes over the new labels and the replayed rows.")
