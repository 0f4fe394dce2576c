"""All settings of one stage, and the rules that concern more than one section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from contracts.labels import CANNOT_TELL, label_ids, listed
from stacks.settings.api import ApiSettings
from stacks.settings.dataset import DatasetSettings
from stacks.settings.drift import DriftSettings
from stacks.settings.fields import Section
from stacks.settings.gates import GateSettings
from stacks.settings.hosting import HostingSettings
from stacks.settings.labeling import LabelingSettings
from stacks.settings.limits import slowest_answer_ms
from stacks.settings.network import NetworkSettings
from stacks.settings.reserved_names import reserved
from stacks.settings.retention import RetentionSettings
from stacks.settings.retraining import RetrainingSettings
from stacks.settings.review import ReviewSettings
from stacks.settings.rollout import RolloutSettings
from stacks.settings.tuning import TuningSettings

# Human task UI and workforce exist in these CloudFormation regions (registry schema 2026-10).
Region = Literal[
    "us-east-1", "us-east-2", "us-west-2", "ca-central-1", "eu-west-1", "eu-west-2", "eu-central-1",
    "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2",
]  # fmt: skip
_LONGEST_BUCKET_PURPOSE = "access-logs"


class Settings(Section):
    """All settings of one stage. The fields in this table belong to no section."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,14}$")] = Field(
        default="reviewloop",
        description=(
            "First part of every resource's name. It must not begin with `aws` or `ssm`, because SSM parameters cannot, and "
            "it must not be `sthree`, because S3 reserves it. Where the app creates the reviewers' sign-in, it must not "
            "contain `aws`, `amazon` or `cognito`, because Cognito reserves them."
        ),
    )
    stage: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,7}$")] = Field(
        description=(
            "Second part of every resource's name. The settings file is `settings/<stage>.yaml`. Where the app creates the "
            "reviewers' sign-in, it must not contain `aws`, `amazon` or `cognito`, because Cognito reserves them."
        )
    )
    region: Region = Field(default="us-east-1", description="AWS region of every stack.")
    alert_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = Field(
        default=None,
        description=(
            "Address that gets the alarms by mail. `null`: the app subscribes nobody. You can subscribe others to the alert topic."
        ),
    )
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
        longest = slowest_answer_ms(api.model_deadline_seconds)
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
    def _somebody_judges(self) -> Settings:
        rollout = self.rollout
        if rollout.policy != "blue_green" and not self.review.asks_people:
            raise ValueError(
                f"rollout.policy {rollout.policy!r} lets people judge the texts that the two variants answer differently, and "
                "review.backend 'none' asks nobody: every rollout would end inconclusive; use rollout.policy 'blue_green', or "
                "review.backend 'a2i' or 'hosted'"
            )
        return self

    @model_validator(mode="after")
    def _guidelines_are_of_the_labels(self) -> Settings:
        pinned = self.dataset.labels
        if pinned is None:
            return self  # they come with the dataset version
        ids = label_ids(key for key in self.review.guidelines.labels if key != CANNOT_TELL)
        for key, label in ids.items():
            if label not in pinned:
                raise ValueError(
                    f"review.guidelines.labels has {key!r}, and dataset.labels has {listed(pinned)}: write the id of one of these, and in "
                    "the field name what people see"
                )
        return self

    @model_validator(mode="after")
    def _pairs_outlive_a_rollout(self) -> Settings:
        hours, days = self.rollout.max_hours, self.retention.prediction_days
        if self.rollout.policy != "blue_green" and hours > days * 24:
            raise ValueError(
                f"rollout.max_hours {hours:g} must be at most the {days * 24} hours of retention.prediction_days {days}: the first "
                "compared texts would be deleted while the rollout is judged"
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
        if not self.labeling.enabled:
            return self
        if self.labeling.backend == "ground_truth" and self.review.backend != "a2i":
            other = "set labeling.backend to 'hosted', " if self.review.backend == "hosted" else ""
            raise ValueError(
                f"labeling.enabled true with labeling.backend 'ground_truth' needs the work team of the review stack, which review.backend "
                f"{self.review.backend!r} leaves out: {other}set labeling.enabled to false, or use review.backend 'a2i'"
            )
        if self.labeling.backend == "hosted" and self.review.backend != "hosted":
            raise ValueError(
                f"labeling.backend 'hosted' needs the page of the hosted review, which review.backend {self.review.backend!r} leaves out: "
                "use review.backend 'hosted', or labeling.backend 'ground_truth' with review.backend 'a2i', or set "
                "labeling.enabled to false"
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
