"""The hyper-parameter search."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from contracts import bounds
from stacks.settings.fields import ProcessingType, Section, TrainingType
from stacks.settings.limits import TrainingJobs
from stacks.settings.search import Epochs, FloatRange, RetrainingSearch, TrainedLayers

ExtraField = Literal["MaxRuntimeInSeconds", "RandomSeed", "RetryStrategy", "StrategyConfig"]
"""Fields of the tuning job that are newer than what Step Functions is known to take; source: stacks/tuning_jobs.py."""


class TuningSettings(Section):
    """The hyper-parameter tuning job and what its training jobs run on."""

    strategy: Literal["Random", "Bayesian", "Hyperband"] = "Bayesian"
    instance_type: TrainingType = "ml.g4dn.xlarge"
    evaluation_instance_type: ProcessingType = "ml.g4dn.xlarge"
    max_jobs: TrainingJobs = 6
    max_parallel_jobs: int = Field(default=2, ge=1, le=10)
    max_runtime_seconds: int = Field(default=3_600, ge=60, le=86_400)
    volume_gb: int = Field(default=30, ge=1, le=500)
    early_stopping: Literal["Off", "Auto"] = "Auto"
    learning_rate: FloatRange = FloatRange(low=4e-5, high=4e-4)
    layers: tuple[Literal[3, 4, 6], ...] = Field(default=(3, 4, 6), min_length=1)
    trained_layers: TrainedLayers = ("2", "all")
    epochs: Epochs = (2, 3, 4)
    retraining: RetrainingSearch = RetrainingSearch()
    soft_labels: bool = True
    max_length: int = Field(default=64, ge=int(bounds.MAX_LENGTH.low), le=int(bounds.MAX_LENGTH.high))
    seed: int = Field(default=20_240_601, ge=int(bounds.SEED.low), le=int(bounds.SEED.high))
    extra_fields: tuple[ExtraField, ...] = Field(default=(), max_length=4)

    @model_validator(mode="after")
    def _extra_fields_differ(self) -> TuningSettings:
        if len(set(self.extra_fields)) != len(self.extra_fields):
            raise ValueError(f"tuning.extra_fields {list(self.extra_fields)} has a field twice: every field must differ")
        return self

    @model_validator(mode="after")
    def _strategy_rules(self) -> TuningSettings:
        if self.max_parallel_jobs > self.max_jobs:
            raise ValueError(f"max_parallel_jobs {self.max_parallel_jobs} must be at most max_jobs {self.max_jobs}")
        if self.strategy == "Hyperband" and self.early_stopping != "Off":
            raise ValueError("strategy 'Hyperband' stops jobs itself: set tuning.early_stopping to 'Off'")
        return self
