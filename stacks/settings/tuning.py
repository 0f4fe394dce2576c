"""The hyper-parameter search."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from contracts import bounds
from stacks.settings.fields import ProcessingType, Section, TrainingType
from stacks.settings.limits import TrainingJobs
from stacks.settings.search import Epochs, FloatRange, Layers, RetrainingSearch, TrainedLayers

ExtraField = Literal["MaxRuntimeInSeconds", "RandomSeed", "RetryStrategy", "StrategyConfig"]
"""Fields of the tuning job that are newer than what Step Functions is known to take; source: stacks/tuning_jobs.py."""


class TuningSettings(Section):
    """The hyper-parameter tuning job, and the instances that its training and evaluation jobs run on."""

    strategy: Literal["Random", "Bayesian", "Hyperband"] = Field(
        default="Bayesian",
        description=(
            "How the tuning job proposes hyper-parameters. SageMaker's grid search is not offered: it takes categorical "
            "values only, and the learning rate is continuous."
        ),
    )
    instance_type: TrainingType = Field(
        default="ml.g4dn.xlarge",
        description=(
            "Instance type of every training job. It must be on SageMaker's list for training and have a GPU, because AWS "
            "builds the training image for GPUs only."
        ),
    )
    evaluation_instance_type: ProcessingType = Field(
        default="ml.g4dn.xlarge",
        description=(
            "Instance type of every evaluation job. It must be on SageMaker's list for processing and have a GPU, because an "
            "evaluation uses the training image."
        ),
    )
    max_jobs: TrainingJobs = Field(
        default=6, description="Most training jobs in one tuning job. A retraining has its own number, `tuning.retraining.max_jobs`."
    )
    max_parallel_jobs: int = Field(
        default=2, ge=1, le=10, description="Most training jobs that run at the same time. It must be at most `max_jobs`."
    )
    max_runtime_seconds: int = Field(
        default=3_600,
        ge=60,
        le=86_400,
        description="Longest time of one training or evaluation job, in seconds. The time limit of the whole execution follows from it.",
    )
    volume_gb: int = Field(default=30, ge=1, le=500, description="Disk of one job, in GB.")
    early_stopping: Literal["Off", "Auto"] = Field(
        default="Auto",
        description=(
            "`Auto`: SageMaker stops training jobs that fall behind. `Off`: every training job runs to its end. Hyperband "
            "needs `Off`, because it stops jobs itself."
        ),
    )
    learning_rate: FloatRange = Field(
        default=FloatRange(low=4e-5, high=4e-4),
        description="The search of a first training may try any learning rate from `low` to `high`.",
    )
    layers: Layers = Field(
        default=(3, 4, 6),
        description=(
            "Choices for the number of the base model's layers that the model keeps. A base model may have fewer than 24; the demo's "
            "has 6. A retraining keeps the champion's number."
        ),
    )
    trained_layers: TrainedLayers = Field(
        default=("2", "all"),
        description=(
            "Choices for how many of the kept layers are trained, counted from the last one. `all`: every layer is trained. "
            "Write numbers in quotation marks."
        ),
    )
    epochs: Epochs = Field(default=(2, 3, 4), description="Choices for the number of passes over the training set.")
    class_weights: tuple[bounds.ClassWeights, ...] = Field(
        default=("none",),
        min_length=1,
        max_length=len(bounds.CLASS_WEIGHTS),
        description=(
            "Choices for the weights of the classes in the loss, also of a retraining. `balanced`: each class counts as much as any other, "
            "however many texts it has. Rare classes are then found more often, and frequent ones less often. With both, the search "
            "chooses by the macro-F1 of the validation set."
        ),
    )
    batch_size: int = Field(
        default=32,
        ge=int(bounds.BATCH_SIZE.low),
        le=int(bounds.BATCH_SIZE.high),
        description="Texts that the model learns from in one step. More need more memory.",
    )
    retraining: RetrainingSearch = RetrainingSearch()
    soft_labels: bool = Field(
        default=True,
        description=(
            "`true`: the model learns from the share of votes for each label, which calibrates its confidence. `false`: it "
            "learns from the winning label alone."
        ),
    )
    max_length: Literal["auto"] | Annotated[int, Field(ge=int(bounds.MAX_LENGTH.low), le=int(bounds.MAX_LENGTH.high))] = Field(
        default="auto",
        description=(
            "Most word pieces of a text that the model reads. A longer text is cut, and the model's answer says so. `auto`: each training "
            "job measures the training texts and takes the shortest length, from 64 to 512, at which it reads 95 % of them whole, within "
            "[its budget](contracts.md#training); a retraining keeps the champion's length."
        ),
    )
    max_unknown_share: float = Field(
        default=0.3,
        ge=bounds.UNKNOWN_SHARE.low,
        le=bounds.UNKNOWN_SHARE.high,
        description=(
            "Largest share of the word pieces of the training texts that the base model may not know. With more, training "
            "stops: the base model is for another language or script."
        ),
    )
    seed: int = Field(
        default=20_240_601,
        ge=int(bounds.SEED.low),
        le=int(bounds.SEED.high),
        description="Random seed of training and evaluation. The search uses it only with `RandomSeed` in `extra_fields`.",
    )
    extra_fields: tuple[ExtraField, ...] = Field(
        default=(),
        max_length=4,
        description=(
            "Fields of the tuning job that Step Functions may refuse, but your account takes "
            "([below](#fields-that-step-functions-may-refuse))."
        ),
    )

    @model_validator(mode="after")
    def _class_weights_differ(self) -> TuningSettings:
        if len(set(self.class_weights)) != len(self.class_weights):
            raise ValueError(f"tuning.class_weights {list(self.class_weights)} has a choice twice: every choice must differ")
        return self

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
