"""What jobs learn from, search and must show: dataset, network, tuning, gates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from contracts import bounds
from stacks.settings.fields import KeyArn, LabelName, ProcessingType, S3Uri, Section, Share, TrainingType


class NetworkSettings(Section):
    """Where jobs and endpoints run. ``isolated`` needs no VPC; ``vpc`` attaches the given subnets."""

    mode: Literal["isolated", "vpc"] = "isolated"
    subnet_ids: tuple[Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]+$")], ...] = Field(default=(), max_length=16)
    security_group_ids: tuple[Annotated[str, StringConstraints(pattern=r"^sg-[0-9a-f]+$")], ...] = Field(default=(), max_length=5)

    @model_validator(mode="after")
    def _vpc_needs_subnets(self) -> NetworkSettings:
        if self.mode == "vpc" and not (self.subnet_ids and self.security_group_ids):
            raise ValueError("network.mode 'vpc' needs at least one subnet_ids and one security_group_ids entry")
        if self.mode == "isolated" and (self.subnet_ids or self.security_group_ids):
            raise ValueError("subnet_ids and security_group_ids are only used with network.mode 'vpc': remove them")
        return self


class DatasetSettings(Section):
    """Where the labelled texts come from. With no ``uri`` the corpus that ships with the project is used."""

    uri: S3Uri | None = None
    kms_key_arn: KeyArn | None = None
    labels: tuple[LabelName, ...] = Field(default=("negative", "neutral", "positive"), min_length=2, max_length=20)
    max_text_chars: int = Field(default=5_000, ge=100, le=90_000)  # four bytes each at most: an item of the table holds 400 KB

    @model_validator(mode="after")
    def _labels_differ(self) -> DatasetSettings:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"dataset.labels {list(self.labels)} has a label twice: every label must differ")
        return self

    @model_validator(mode="after")
    def _key_is_of_an_own_bucket(self) -> DatasetSettings:
        if self.kms_key_arn and not self.uri:
            raise ValueError(
                f"dataset.kms_key_arn {self.kms_key_arn} is the key of the bucket in dataset.uri, which is not set: "
                "set dataset.uri, or remove the key (our own buckets have the app's key)"
            )
        return self


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

    max_jobs: int = Field(default=2, ge=1, le=100)
    learning_rate: FloatRange = FloatRange(low=5e-5, high=2e-4)
    trained_layers: TrainedLayers = ("3", "all")
    epochs: Epochs = (2, 3)


ExtraField = Literal["MaxRuntimeInSeconds", "RandomSeed", "RetryStrategy", "StrategyConfig"]
"""Fields of the tuning job that are newer than what Step Functions is known to take; source: stacks/tuning_jobs.py."""


class TuningSettings(Section):
    """The hyper-parameter tuning job and what its training jobs run on."""

    strategy: Literal["Random", "Bayesian", "Hyperband", "Grid"] = "Bayesian"
    instance_type: TrainingType = "ml.g4dn.xlarge"
    evaluation_instance_type: ProcessingType = "ml.g4dn.xlarge"
    max_jobs: int = Field(default=6, ge=1, le=100)
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
        if self.strategy == "Grid":
            raise ValueError(
                "strategy 'Grid' takes categorical ranges only, and learning_rate is continuous: use Random, Bayesian or Hyperband"
            )
        return self


class GateSettings(Section):
    """What a candidate must show on the frozen test set before it may be registered.

    ``max_loss_to_champion`` is held against the lower end of the difference's 95 % interval: a smaller loss must be shown, not just seen.
    ``min_slice_accuracy`` is held against the upper end of each slice's: a slice of few texts refuses nothing by chance.
    """

    min_macro_f1: Share = 0.60
    min_gain_over_majority: Share = 0.10
    min_gain_over_tfidf: float = Field(default=0.0, ge=-0.5, le=0.5)
    max_loss_to_champion: Share = 0.05
    min_class_recall: Share = 0.20
    min_slice_accuracy: Share = 0.50
    approval: Literal["automatic", "manual"] = "automatic"
