"""The one settings object: everything a team may choose, typed and bounded.

``settings/<stage>.yaml`` is read by :func:`load_settings`; a bad value raises :class:`SettingsError`
whose text names the field path, the value, what is allowed and what to do.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from model_code import bounds
from stacks import instance_types
from stacks.reserved_names import reserved
from stacks.settings_file import SettingsError, read_mapping, refusal

__all__ = ["Settings", "SettingsError", "load_settings"]

# Human task UI and workforce exist in these CloudFormation regions (registry schema 2026-10).
Region = Literal[
    "us-east-1", "us-east-2", "us-west-2", "ca-central-1", "eu-west-1", "eu-west-2", "eu-central-1",
    "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2",
]  # fmt: skip
_INSTANCE = StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
TrainingType = Annotated[str, _INSTANCE, AfterValidator(partial(instance_types.checked, "training"))]
ProcessingType = Annotated[str, _INSTANCE, AfterValidator(partial(instance_types.checked, "processing"))]
HostingType = Annotated[str, _INSTANCE, AfterValidator(partial(instance_types.checked, "hosting"))]
LabelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,30}$")]
S3Uri = Annotated[str, StringConstraints(pattern=r"^s3://[a-z0-9.-]{3,63}/.+$")]
KeyArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[a-zA-Z0-9-]+$")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
_PRIVATE_TEAM = re.compile(r"workteam/private-crowd/[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_LONGEST_BUCKET_PURPOSE = "access-logs"
_SHARED_CONCURRENCY = 900


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NetworkSettings(_Section):
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


class DatasetSettings(_Section):
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


class FloatRange(_Section):
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


class RetrainingSearch(_Section):
    """The search of a retraining: the champion goes on learning with the layers it has, so less is varied in fewer jobs."""

    max_jobs: int = Field(default=2, ge=1, le=100)
    learning_rate: FloatRange = FloatRange(low=5e-5, high=2e-4)
    trained_layers: TrainedLayers = ("3", "all")
    epochs: Epochs = (2, 3)


ExtraField = Literal["MaxRuntimeInSeconds", "RandomSeed", "RetryStrategy", "StrategyConfig"]
"""Fields of the tuning job that are newer than what Step Functions is known to take; source: stacks/tuning_jobs.py."""


class TuningSettings(_Section):
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


class GateSettings(_Section):
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


class ScalingSettings(_Section):
    """Target tracking of one variant's instances."""

    min_instances: int = Field(default=2, ge=1, le=100)
    max_instances: int = Field(default=4, ge=1, le=100)
    invocations_per_instance_per_minute: int = Field(default=600, ge=1, le=100_000)
    scale_in_cooldown_seconds: int = Field(default=300, ge=0, le=3_600)
    scale_out_cooldown_seconds: int = Field(default=60, ge=0, le=3_600)


class FleetShiftSettings(_Section):
    """Blue/green shift of a fleet when the endpoint configuration changes (layer one of traffic shifting)."""

    type: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"] = "CANARY"
    step_percent: int = Field(default=50, ge=10, le=50)
    wait_seconds: int = Field(default=300, ge=0, le=3_600)
    termination_wait_seconds: int = Field(default=120, ge=0, le=3_600)
    max_execution_seconds: int = Field(default=3_600, ge=600, le=28_800)
    alarm_period_seconds: Literal[60, 120, 300] = 60  # hosting publishes its invocation metrics once a minute
    alarm_evaluation_periods: int = Field(default=2, ge=1, le=10)
    max_error_rate: Share = 0.05
    max_latency_ms: int = Field(default=2_000, ge=1, le=17_000)

    @property
    def alarm_window_seconds(self) -> int:
        """How long something must be wrong before an alarm goes off."""
        return self.alarm_period_seconds * self.alarm_evaluation_periods

    def steps(self, fewest: int, most: int) -> int:
        """Steps of a shift at worst, with any number of instances in between; a step is a whole number of instances."""
        if self.type == "LINEAR":
            return max(-(-count // max(1, count * self.step_percent // 100)) for count in range(fewest, most + 1))
        return 2 if self.type == "CANARY" else 1


class HostingSettings(_Section):
    """The A/B endpoint. Variant names are always ``champion`` and ``challenger`` and cannot be set."""

    instance_type: HostingType = "ml.m5.large"
    initial_instance_count: int = Field(default=2, ge=1, le=100)
    initial_weights: dict[Literal["champion", "challenger"], Annotated[float, Field(ge=0, le=1_000)]] = {
        "champion": 0.9, "challenger": 0.1,
    }  # fmt: skip
    capture: Literal["endpoint", "app", "off"] = "endpoint"
    capture_percent: int = Field(default=100, ge=1, le=100)
    scaling: ScalingSettings | None = ScalingSettings()
    fleet_shift: FleetShiftSettings = FleetShiftSettings()

    @model_validator(mode="after")
    def _champion_serves(self) -> HostingSettings:
        if set(self.initial_weights) != {"champion", "challenger"}:
            raise ValueError(f"initial_weights has {sorted(self.initial_weights)}: give exactly champion and challenger")
        if self.initial_weights["champion"] <= 0:
            raise ValueError(
                f"initial_weights.champion {self.initial_weights['champion']} must be above 0: with no challenger nothing would serve"
            )
        return self

    @model_validator(mode="after")
    def _percent_of_what_is_captured(self) -> HostingSettings:
        if self.capture == "off" and self.capture_percent != type(self).model_fields["capture_percent"].default:
            raise ValueError(
                f"hosting.capture_percent {self.capture_percent} is a share of what is captured, and hosting.capture 'off' captures "
                "nothing: leave capture_percent out, or use hosting.capture 'endpoint' or 'app'"
            )
        return self

    @property
    def captures(self) -> bool:
        """Whether answers are captured: what drift and the reference of a retraining are made of."""
        return self.capture != "off"

    @model_validator(mode="after")
    def _can_scale(self) -> HostingSettings:
        if self.scaling is None:
            return self
        if self.instance_type.startswith("ml.t"):
            raise ValueError(
                f"instance_type {self.instance_type} cannot autoscale (burstable): set hosting.scaling to null or use an m5/c5 type"
            )
        if not self.scaling.min_instances <= self.initial_instance_count <= self.scaling.max_instances:
            raise ValueError(
                f"initial_instance_count {self.initial_instance_count} must lie within scaling.min_instances "
                f"{self.scaling.min_instances} and scaling.max_instances {self.scaling.max_instances}"
            )
        return self

    @model_validator(mode="after")
    def _steps_are_instances(self) -> HostingSettings:
        """Both variants may be at their fewest instances when an update comes."""
        shift, fewest = self.fleet_shift, self._instances[0]
        if shift.type == "ALL_AT_ONCE" or fewest * shift.step_percent >= 100:
            return self
        field = "scaling.min_instances" if self.scaling and self.scaling.min_instances == fewest else "initial_instance_count"
        larger = -(-100 // fewest)
        alternative = f"step_percent of at least {larger}, or " if larger <= 50 else ""
        raise ValueError(
            f"fleet_shift.step_percent {shift.step_percent} of {field} {fewest} is less than one instance, which fleet_shift.type "
            f"{shift.type} needs for a step: use {alternative}{field} of at least {-(-100 // shift.step_percent)}, or ALL_AT_ONCE"
        )

    @model_validator(mode="after")
    def _alarms_are_in_time(self) -> HostingSettings:
        shift = self.fleet_shift
        bake = shift.termination_wait_seconds if shift.type == "ALL_AT_ONCE" else shift.wait_seconds
        if shift.alarm_window_seconds > bake:
            raise ValueError(
                f"fleet_shift alarm window of {shift.alarm_window_seconds} s (alarm_period_seconds x alarm_evaluation_periods) is longer "
                f"than the bake of {bake} s, so the alarm could never roll a bad fleet back: shorten the window or lengthen the wait"
            )
        waits = shift.steps(*self._instances) * shift.wait_seconds + shift.termination_wait_seconds
        if shift.max_execution_seconds <= waits:
            raise ValueError(
                f"fleet_shift.max_execution_seconds {shift.max_execution_seconds} must exceed the {waits} s that the steps wait"
            )
        return self

    @property
    def _instances(self) -> tuple[int, int]:
        """Fewest and most instances that a variant can have."""
        if self.scaling is None:
            return self.initial_instance_count, self.initial_instance_count
        return self.scaling.min_instances, self.scaling.max_instances


class ApiSettings(_Section):
    """The REST API in front of the endpoint, and how much of the account's Lambda concurrency it may take."""

    manage_account_role: bool = True
    rate_limit: int = Field(default=100, ge=1, le=10_000)
    burst_limit: int = Field(default=200, ge=1, le=5_000)
    model_deadline_seconds: int = Field(default=8, ge=4, le=18)
    reserved_concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = 200
    max_failed_share: Share = 0.05

    @property
    def most_in_flight(self) -> int:
        """Calls that wait at once when the endpoint hangs: a burst, and what the rate lets in until the first ones give up."""
        return self.burst_limit + self.rate_limit * self.model_deadline_seconds

    @model_validator(mode="after")
    def _leaves_others_their_concurrency(self) -> ApiSettings:
        """Lambda's default quota is 1,000 concurrent executions, 100 of which stay unreserved (Lambda developer guide, quotas)."""
        if self.reserved_concurrency is None and self.most_in_flight > _SHARED_CONCURRENCY:
            raise ValueError(
                f"reserved_concurrency null with burst_limit {self.burst_limit} + rate_limit {self.rate_limit} x model_deadline_seconds "
                f"{self.model_deadline_seconds} = {self.most_in_flight} calls that wait at once when the endpoint hangs: more than "
                f"{_SHARED_CONCURRENCY} leave too little of the account's Lambda concurrency for the functions that roll it back; "
                "lower the limits, or reserve concurrency"
            )
        return self


class WorkforceSettings(_Section):
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


class ReviewSettings(_Section):
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


class LabelingSettings(_Section):
    """Bulk labelling with Ground Truth (closed to new AWS customers since 2026-07-30)."""

    enabled: bool = True
    workers_per_object: int = Field(default=3, ge=1, le=9)
    task_time_limit_seconds: int = Field(default=3_600, ge=30, le=28_800)


class DriftSettings(_Section):
    """Drift of the served texts against the champion's own baseline."""

    window_predictions: int = Field(default=250, ge=50, le=10_000)
    schedule_minutes: int = Field(default=60, ge=5, le=1_440)
    false_alarm_rate: float = Field(default=0.01, ge=0.001, le=0.2)
    reference_predictions: int = Field(default=1_000, ge=100, le=20_000)
    datapoints_to_alarm: int = Field(default=1, ge=1, le=10)
    evaluation_periods: int = Field(default=1, ge=1, le=10)
    unassessed_hours: int = Field(default=24, ge=1, le=168)

    @model_validator(mode="after")
    def _a_check_within_its_hours(self) -> DriftSettings:
        least = -(-min(2 * self.schedule_minutes, 1_440) // 60)
        if self.unassessed_hours < least:
            raise ValueError(
                f"unassessed_hours {self.unassessed_hours} holds less than two checks of schedule_minutes {self.schedule_minutes}: "
                f"use at least {least}"
            )
        return self

    @model_validator(mode="after")
    def _m_of_n(self) -> DriftSettings:
        if self.datapoints_to_alarm > self.evaluation_periods:
            raise ValueError(f"datapoints_to_alarm {self.datapoints_to_alarm} must be at most evaluation_periods {self.evaluation_periods}")
        longest = 7 * 1_440 if self.schedule_minutes >= 60 else 1_440
        if self.schedule_minutes * self.evaluation_periods > longest:
            raise ValueError(
                f"schedule_minutes {self.schedule_minutes} x evaluation_periods {self.evaluation_periods} is longer than the {longest} "
                "minutes that a CloudWatch alarm looks back (a day for periods below an hour, else a week): lower one of them"
            )
        return self


class RetrainingSettings(_Section):
    """What starts a retraining, and how its dataset is made."""

    on_drift: bool = True
    min_new_labels: int = Field(default=200, ge=20, le=1_000_000)
    check_minutes: int = Field(default=60, ge=5, le=1_440)
    holdout_share: float = Field(default=0.2, ge=0.0, le=0.5)
    replay_rows: int = Field(default=500, ge=int(bounds.REPLAY_ROWS.low), le=int(bounds.REPLAY_ROWS.high))


class RolloutSettings(_Section):
    """Champion against challenger: weights step by step (layer two of traffic shifting)."""

    weight_steps: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(default=(0.1, 0.3, 0.5), min_length=1, max_length=10)
    step_seconds: int = Field(default=600, ge=60, le=86_400)
    min_invocations: int = Field(default=50, ge=1, le=1_000_000)
    max_error_rate: Share = 0.05
    max_agreement_loss: Share = 0.10
    max_holds: int = Field(default=6, ge=0, le=100)
    min_reviewed: int = Field(default=20, ge=1, le=100_000)
    without_reviews: Literal["advance", "hold"] = "advance"

    @model_validator(mode="after")
    def _steps_rise(self) -> RolloutSettings:
        if list(self.weight_steps) != sorted(set(self.weight_steps)):
            raise ValueError(f"weight_steps {list(self.weight_steps)} must rise from step to step")
        return self


class RetentionSettings(_Section):
    """How long data stays, in days."""

    capture_days: int = Field(default=90, ge=1, le=3_650)
    review_days: int = Field(default=365, ge=1, le=3_650)
    prediction_days: int = Field(default=365, ge=1, le=3_650)
    log_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 90


class Settings(_Section):
    """All settings of one stage."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,14}$")] = "reviewloop"
    stage: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,7}$")]
    region: Region = "us-east-1"
    alert_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None
    dataset: DatasetSettings = DatasetSettings()
    network: NetworkSettings = NetworkSettings()
    tuning: TuningSettings = TuningSettings()
    gates: GateSettings = GateSettings()
    hosting: HostingSettings = HostingSettings()
    api: ApiSettings = ApiSettings()
    review: ReviewSettings = ReviewSettings()
    labeling: LabelingSettings = LabelingSettings()
    drift: DriftSettings = DriftSettings()
    retraining: RetrainingSettings = RetrainingSettings()
    rollout: RolloutSettings = RolloutSettings()
    retention: RetentionSettings = RetentionSettings()

    @model_validator(mode="after")
    def _names_are_free(self) -> Settings:
        has_user_pool = self.review.asks_people and self.review.workforce.mode == "create"
        problem = reserved(self.name, self.stage, has_user_pool=has_user_pool)
        if problem:
            raise ValueError(problem)
        return self

    @model_validator(mode="after")
    def _bucket_names_fit(self) -> Settings:
        length = len(f"{self.name}-{self.stage}-{_LONGEST_BUCKET_PURPOSE}-{'0' * 12}-{self.region}")
        if length > 63:
            raise ValueError(
                f"name {self.name}, stage {self.stage} and region {self.region} make bucket names of {length} characters, and S3 takes 63: "
                f"shorten name or stage by {length - 63}"
            )
        return self

    @model_validator(mode="after")
    def _api_waits_for_slow_answers(self) -> Settings:
        api, latency = self.api, self.hosting.fleet_shift.max_latency_ms
        longest = (api.model_deadline_seconds - 1) * 1_000
        if latency > longest:
            raise ValueError(
                f"hosting.fleet_shift.max_latency_ms {latency} must be at most {longest}: with api.model_deadline_seconds "
                f"{api.model_deadline_seconds}, one second of which is for connecting, no answer comes later, so the alarm would never ring"
            )
        busiest = max(api.burst_limit, -(-api.rate_limit * latency // 1_000))
        if api.reserved_concurrency is not None and api.reserved_concurrency < busiest:
            raise ValueError(
                f"api.reserved_concurrency {api.reserved_concurrency} must be at least {busiest}, the larger one of api.burst_limit "
                f"{api.burst_limit} and api.rate_limit {api.rate_limit} x hosting.fleet_shift.max_latency_ms {latency} / 1000: callers "
                "within the limits would be refused while the endpoint is well"
            )
        return self

    @model_validator(mode="after")
    def _agreement_can_be_judged(self) -> Settings:
        if self.rollout.without_reviews == "hold" and not self.review.asks_people:
            raise ValueError(
                "rollout.without_reviews 'hold' waits for people, and review.backend 'none' asks nobody: every rollout would end "
                "inconclusive; use rollout.without_reviews 'advance', or review.backend 'a2i'"
            )
        if self.rollout.without_reviews == "hold" and self.review.audit_share == 0:
            raise ValueError(
                "rollout.without_reviews 'hold' needs review.audit_share above 0: with no confident answer reviewed, agreement is never "
                "judged and every rollout would end inconclusive; raise review.audit_share, or use 'advance'"
            )
        return self

    @model_validator(mode="after")
    def _team_is_in_the_region(self) -> Settings:
        team = self.review.workforce.team_region
        if team is not None and team != self.region:
            raise ValueError(
                f"review.workforce.workteam_arn is of the region {team}, and region is {self.region}: a flow asks a team of its own "
                "region; name a team there, or deploy where the team is"
            )
        return self

    @model_validator(mode="after")
    def _somebody_labels(self) -> Settings:
        if self.labeling.enabled and not self.review.asks_people:
            raise ValueError(
                "labeling.enabled true needs the work team of the review stack, which review.backend 'none' leaves out: set "
                "labeling.enabled to false, or use review.backend 'a2i'"
            )
        return self

    @model_validator(mode="after")
    def _drift_has_its_texts(self) -> Settings:
        if self.hosting.captures:
            return self
        cure = "or use hosting.capture 'endpoint', or 'app' where endpoint capture is closed to the account"
        if self.retraining.on_drift:
            raise ValueError(
                "retraining.on_drift true needs a drift check, and hosting.capture 'off' captures nothing that it could look at: set "
                f"retraining.on_drift to false, {cure}"
            )
        for field in ("reference_predictions", "schedule_minutes", "datapoints_to_alarm", "evaluation_periods", "unassessed_hours"):
            if getattr(self.drift, field) != DriftSettings.model_fields[field].default:
                raise ValueError(
                    f"drift.{field} {getattr(self.drift, field)} is about captured answers, and hosting.capture 'off' captures none: leave "
                    f"{field} out, {cure}"
                )
        return self

    @model_validator(mode="after")
    def _alarms_go_off_within_a_step(self) -> Settings:
        window = self.hosting.fleet_shift.alarm_window_seconds
        if self.rollout.step_seconds < window:
            raise ValueError(
                f"rollout.step_seconds {self.rollout.step_seconds} must be at least the {window} s that a variant's alarm needs "
                "(hosting.fleet_shift alarm_period_seconds x alarm_evaluation_periods): a step would be judged before it could go off"
            )
        return self


def load_settings(path: Path) -> Settings:
    """Read one YAML file into :class:`Settings`.

    Raises:
        SettingsError: the file cannot be read (:mod:`stacks.settings_file`), or a field is out of bounds.
    """
    raw = read_mapping(path)
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise refusal(path, error) from None
