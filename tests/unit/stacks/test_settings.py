"""Bad settings stop with the field, the value and what is allowed; the shipped ones load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded_aws.sagemaker.hosting.traffic import shift_steps
from lambdas.prediction.model import read_timeouts
from stacks.names import BUCKET_PURPOSES
from stacks.settings import SettingsError, load_settings, settings_text
from stacks.settings.dataset import DatasetSettings
from stacks.settings.fleet_shift import FleetShiftSettings
from stacks.settings.stage import _LONGEST_BUCKET_PURPOSE

SETTINGS = Path(__file__).resolve().parents[3] / "settings"
WORKTEAM = "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/reviewers"


def write(tmp_path: Path, **sections: Any) -> Path:
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"stage": "test", **sections}), encoding="utf-8")
    return path


def problems(tmp_path: Path, sections: dict[str, Any]) -> list[str]:
    """The lines of the message: the file, then one a problem."""
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, **sections))
    return str(caught.value).splitlines()


@pytest.mark.parametrize("stage", sorted(path.stem for path in SETTINGS.glob("*.yaml")))
def test_shipped_settings_load_and_name_their_stage(stage: str) -> None:
    assert load_settings(SETTINGS / f"{stage}.yaml").stage == stage


def test_defaults_alone_satisfy_every_rule(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path)).hosting.fleet_shift.type == "CANARY"


def test_guidelines_name_pinned_labels_by_id_or_name_and_are_one_line_each(tmp_path: Path) -> None:
    labels = {"Sci/Tech": {"means": "of a\n  laboratory"}, "world": {"means": "x", "name": "Welt"}, "cannot-tell": {"means": "too short"}}
    read = load_settings(write(tmp_path, dataset={"labels": ["world", "sci-tech"]}, review={"guidelines": {"labels": labels}}))
    found = read.review.guidelines.labels
    assert {key: one.heading(key) for key, one in found.items()} == {
        "Sci/Tech": "Sci/Tech", "world": "Welt", "cannot-tell": "Cannot tell"
    }  # fmt: skip
    assert found["Sci/Tech"].means == "of a laboratory"


BAD_FIELDS: list[tuple[dict[str, Any], str, str, str]] = [
    # sections, field path, value, what is allowed
    ({"review": {"audit_share": 1.5}}, "review.audit_share", "1.5", "less than or equal to 1"),
    ({"rewiev": {}}, "rewiev", "", "Extra inputs"),
    ({"region": "mars-1"}, "region", "mars-1", "us-east-1"),
    ({"stage": "Prod"}, "stage", "Prod", "pattern"),
    ({"name": "a-b"}, "name", "a-b", "pattern"),
    ({"name": "a" * 16}, "name", "a" * 16, "pattern"),
    ({"alert_email": "nobody"}, "alert_email", "nobody", "pattern"),
    ({"dataset": {"labels": ["Positive", "b"]}}, "dataset.labels.0", "Positive", "pattern"),
    ({"dataset": {"labels": ["a", "cannot-tell"]}}, "dataset.labels.1", "cannot-tell", "name the label differently"),
    ({"dataset": {"labels": ["a"]}}, "dataset.labels", "a", "at least 2 items"),
    ({"dataset": {"uri": "/data"}}, "dataset.uri", "/data", "s3://"),
    ({"dataset": {"max_text_chars": 90_001}}, "dataset.max_text_chars", "90001", "less than or equal to 90000"),
    ({"dataset": {"uri": "s3://team/x", "kms_key_arn": "alias/team"}}, "dataset.kms_key_arn", "alias/team", "pattern"),
    ({"tuning": {"extra_fields": ["Environment"]}}, "tuning.extra_fields.0", "Environment", "RandomSeed"),
    ({"network": {"mode": "vpc", "subnet_ids": ["x"], "security_group_ids": ["sg-1"]}}, "network.subnet_ids.0", "x", "subnet-"),
    ({"network": {"mode": "vpc", "subnet_ids": [f"subnet-{n}" for n in range(17)]}}, "network.subnet_ids", "subnet-16", "at most 16"),
    ({"network": {"mode": "vpc", "security_group_ids": [f"sg-{n}" for n in range(6)]}}, "network.security_group_ids", "sg-5", "at most 5"),
    ({"tuning": {"strategy": "Grid"}}, "tuning.strategy", "'Grid'", "'Random', 'Bayesian' or 'Hyperband'"),
    ({"tuning": {"layers": [0]}}, "tuning.layers.0", "0", "1"),
    ({"tuning": {"layers": [25]}}, "tuning.layers.0", "25", "24"),
    ({"tuning": {"trained_layers": ["25"]}}, "tuning.trained_layers.0", "25", "all"),
    ({"tuning": {"class_weights": ["focal"]}}, "tuning.class_weights.0", "focal", "'none' or 'balanced'"),
    ({"tuning": {"class_weights": ["none", "none"]}}, "tuning", "none", "every choice must differ"),
    ({"tuning": {"batch_size": 0}}, "tuning.batch_size", "0", "1"),
    ({"tuning": {"max_length": "long"}}, "tuning.max_length", "long", "auto"),
    ({"tuning": {"instance_type": "m5.large"}}, "tuning.instance_type", "m5.large", "ml"),
    ({"hosting": {"initial_weights": {"blue": 1.0, "green": 0.0}}}, "hosting.initial_weights", "blue", "champion"),
    ({"hosting": {"fleet_shift": {"step_percent": 51}}}, "hosting.fleet_shift.step_percent", "51", "less than or equal to 50"),
    ({"hosting": {"fleet_shift": {"alarm_period_seconds": 10}}}, "hosting.fleet_shift.alarm_period_seconds", "10", "60, 120 or 300"),
    ({"hosting": {"fleet_shift": {"max_latency_ms": 17_001}}}, "hosting.fleet_shift.max_latency_ms", "17001", "less than or equal to"),
    ({"hosting": {"capture_percent": 0}}, "hosting.capture_percent", "0", "greater than or equal to 1"),
    ({"hosting": {"capture": "firehose"}}, "hosting.capture", "'firehose'", "'endpoint', 'app' or 'off'"),
    ({"drift": {"unassessed_hours": 169}}, "drift.unassessed_hours", "169", "less than or equal to 168"),
    ({"review": {"guidelines": {"question": " "}}}, "review.guidelines.question", "' '", "at least 1 character"),
    ({"review": {"guidelines": {"rules": ["x" * 301]}}}, "review.guidelines.rules.0", "x" * 90, "at most 300 characters"),
    ({"review": {"guidelines": {"rules": ["a", "b\0c"]}}}, "review.guidelines.rules.1", "b\\x00c", "U+0000 cannot be shown: leave it out"),
    ({"review": {"guidelines": {"rules": []}}}, "review.guidelines.rules", "[]", "at least 1 item"),
    ({"review": {"guidelines": {"labels": {"a": {}}}}}, "review.guidelines.labels.a.means", "", "required"),
    (
        {"review": {"guidelines": {"labels": {"a": {"means": "b", "fits": list("abcdef")}}}}},
        "review.guidelines.labels.a.fits", "", "at most 5",
    ),
    ({"review": {"guidelines": {"labels": {"a": {"means": "b", "not": ["c"]}}}}}, "review.guidelines.labels.a.not", "", "Extra inputs"),
    ({"review": {"guidelines": {"labels": {"": {"means": "b"}}}}}, "review.guidelines.labels..[key]", "''", "at least 1 character"),
    ({"review": {"workers_per_task": 4}}, "review.workers_per_task", "4", "less than or equal to 3"),
    ({"review": {"promise": {"max_error": 0}}}, "review.promise.max_error", "0", "greater than 0"),
    ({"review": {"threshold": "always"}}, "review.threshold", "always", "'model'"),
    ({"review": {"workforce": {"mode": "import", "workteam_arn": "team"}}}, "review.workforce.workteam_arn", "team", "workteam"),
    ({"gates": {"approval": "never"}}, "gates.approval", "never", "'automatic' or 'manual'"),
    ({"rollout": {"weight_steps": [0.0]}}, "rollout.weight_steps.0", "0.0", "greater than 0"),
    ({"rollout": {"policy": "bluegreen"}}, "rollout.policy", "bluegreen", "'shadow', 'canary' or 'blue_green'"),
    ({"rollout": {"approval": "never"}}, "rollout.approval", "never", "'automatic' or 'manual'"),
    ({"rollout": {"at_end": "promote"}}, "rollout.at_end", "promote", "'keep_champion' or 'promote_if_equivalent'"),
    ({"rollout": {"margin": 0}}, "rollout.margin", "0", "greater than or equal to 0.005"),
    ({"rollout": {"error": 0.5}}, "rollout.error", "0.5", "less than or equal to 0.2"),
    ({"rollout": {"paired_share": 0}}, "rollout.paired_share", "0", "greater than 0"),
    ({"rollout": {"reviews_a_day": 0}}, "rollout.reviews_a_day", "0", "greater than or equal to 1"),
    ({"rollout": {"max_hours": 721}}, "rollout.max_hours", "721", "less than or equal to 720"),
    ({"rollout": {"max_latency_ratio": 0.5}}, "rollout.max_latency_ratio", "0.5", "greater than or equal to 1"),
    ({"rollout": {"max_confidence_loss": 2}}, "rollout.max_confidence_loss", "2", "less than or equal to 1"),
    ({"retention": {"log_days": 2}}, "retention.log_days", "2", "365"),
    ({"tuning": {"learning_rate": {"low": 1e-4, "high": 0.5}}}, "tuning.learning_rate.high", "0.5", "less than or equal to 0.1"),
    ({"tuning": {"learning_rate": {"low": 1e-4, "high": float("inf")}}}, "tuning.learning_rate.high", "inf", "finite number"),
    ({"gates": {"min_macro_f1": float("nan")}}, "gates.min_macro_f1", "nan", "finite number"),
    ({"tuning": {"instance_type": "ml.g4dn.huge"}}, "tuning.instance_type", "ml.g4dn.huge", "such as ml.g4dn."),
    ({"tuning": {"instance_type": "ml.m5.large"}}, "tuning.instance_type", "ml.m5.large", "GPUs only"),
    ({"tuning": {"instance_type": "ml.trn1.2xlarge"}}, "tuning.instance_type", "ml.trn1.2xlarge", "CPU or GPU type"),
    ({"tuning": {"evaluation_instance_type": "ml.p4d.24xlarge"}}, "tuning.evaluation_instance_type", "p4d", "no such instance type"),
    ({"tuning": {"evaluation_instance_type": "ml.t3.large"}}, "tuning.evaluation_instance_type", "ml.t3.large", "GPUs only"),
    ({"hosting": {"instance_type": "ml.m6g.large"}}, "hosting.instance_type", "ml.m6g.large", "ARM"),
    ({"hosting": {"instance_type": "ml.r8g.large"}}, "hosting.instance_type", "ml.r8g.large", "ARM"),
    ({"hosting": {"instance_type": "ml.c6gn.large"}}, "hosting.instance_type", "ml.c6gn.large", "ARM"),
    ({"hosting": {"instance_type": "ml.inf2.xlarge"}}, "hosting.instance_type", "ml.inf2.xlarge", "CPU or GPU type"),
    ({"hosting": {"instance_type": "ml.dl1.24xlarge"}}, "hosting.instance_type", "ml.dl1.24xlarge", "CPU or GPU type"),
    ({"hosting": {"instance_type": "ml.t3.large"}}, "hosting.instance_type", "ml.t3.large", "no such instance type for hosting"),
    ({"dataset": {"labels": [True, False]}}, "dataset.labels.0", "True", "YAML reads yes, on or true without quotation marks as true"),
    ({"dataset": {"labels": ["a", False]}}, "dataset.labels.1", "False", "no, off or false"),
    ({"dataset": {"labels": [1, 2]}}, "dataset.labels.1", "2", "write it as '2'"),
    ({"dataset": {"labels": ["a", None]}}, "dataset.labels.1", "None", "write the text in quotation marks"),
    ({"tuning": {"trained_layers": [2, "all"]}}, "tuning.trained_layers.0", "2", "write it as '2'"),
    ({"name": 7}, "name", "7", "write it as '7'"),
]  # fmt: skip

RESERVED: list[tuple[dict[str, Any], list[str]]] = [
    ({"name": "awstexts"}, ["name 'awstexts' begins with 'aws'", "SSM"]),
    ({"name": "ssm"}, ["name 'ssm' begins with 'ssm'", "SSM"]),
    ({"name": "sthree"}, ["buckets that begin with 'sthree-'", "S3"]),
    ({"name": "lawsuits"}, ["name 'lawsuits' has 'aws' in it", "Cognito"]),
    ({"name": "myamazon"}, ["name 'myamazon' has 'amazon' in it", "Cognito"]),
    ({"name": "incognito"}, ["name 'incognito' has 'cognito' in it", "choose a name without it"]),
    ({"stage": "awsdev"}, ["stage 'awsdev' has 'aws' in it", "choose a stage without it"]),
]


@pytest.mark.parametrize(("sections", "fragments"), RESERVED, ids=[fragments[0] for _, fragments in RESERVED])
def test_a_word_that_aws_keeps_for_itself_is_named(tmp_path: Path, sections: dict[str, Any], fragments: list[str]) -> None:
    (line,) = problems(tmp_path, sections)[1:]
    assert [fragment for fragment in fragments if fragment not in line] == []


def test_a_word_is_reserved_only_where_it_is_used(tmp_path: Path) -> None:
    """Without a user pool there is no sign-in domain."""
    alone = {"review": {"backend": "none"}, "labeling": {"enabled": False}, "rollout": {"policy": "blue_green"}}
    assert load_settings(write(tmp_path, name="lawsuits", **alone)).name == "lawsuits"


BAD_TOGETHER: list[tuple[dict[str, Any], list[str]]] = [
    # sections; then section, values and what is allowed, all of which the message has
    ({"dataset": {"labels": ["a", "a"]}}, ["dataset:", "['a', 'a']", "every label must differ"]),
    (
        {"dataset": {"labels": [f"label-of-many-{number}" for number in range(200)]}},
        ["dataset:", "200 labels of 3489 characters", "3000 fit", "leave dataset.labels out"],
    ),
    (
        {"dataset": {"labels": ["good", "bad"]}, "review": {"guidelines": {"labels": {"great": {"means": "x"}}}}},
        ["review.guidelines.labels has 'great'", "dataset.labels has good, bad", "write the id of one of these"],
    ),
    (
        {"review": {"guidelines": {"labels": {"Good": {"means": "x"}, "good": {"means": "y"}}}}},
        ["review.guidelines:", "'Good' and 'good'", "keep one of them"],
    ),
    (
        {"review": {"cannot_tell": False, "guidelines": {"labels": {"cannot-tell": {"means": "x"}}}}},
        ["review:", "explains 'cannot-tell'", "review.cannot_tell false", "leave one of them out"],
    ),
    ({"network": {"mode": "vpc"}}, ["network:", "network.mode 'vpc'", "at least one subnet_ids"]),
    ({"network": {"mode": "vpc", "subnet_ids": ["subnet-1"]}}, ["network:", "at least one subnet_ids and one security_group_ids"]),
    ({"network": {"subnet_ids": ["subnet-1"]}}, ["network:", "remove them"]),
    ({"tuning": {"strategy": "Hyperband"}}, ["tuning:", "'Hyperband'", "early_stopping to 'Off'"]),
    ({"tuning": {"max_jobs": 1, "max_parallel_jobs": 2}}, ["tuning:", "max_parallel_jobs 2", "at most max_jobs 1"]),
    ({"tuning": {"learning_rate": {"low": 0.1, "high": 0.01}}}, ["tuning.learning_rate:", "low 0.1", "below high 0.01"]),
    ({"hosting": {"initial_weights": {"champion": 1.0}}}, ["hosting:", "['champion']", "exactly champion and challenger"]),
    ({"hosting": {"initial_weights": {"champion": 0.0, "challenger": 1.0}}}, ["hosting:", "initial_weights.champion 0.0", "above 0"]),
    ({"hosting": {"instance_type": "ml.t2.large"}}, ["hosting:", "ml.t2.large", "set hosting.scaling to null"]),
    ({"hosting": {"initial_instance_count": 5}}, ["hosting:", "initial_instance_count 5", "scaling.max_instances 4"]),
    ({"hosting": {"initial_instance_count": 1}}, ["hosting:", "initial_instance_count 1", "scaling.min_instances 2"]),
    (
        {"hosting": {"scaling": {"metric": "concurrency", "invocations_per_instance_per_minute": 60}}},
        ["hosting.scaling:", "invocations_per_instance_per_minute 60", "hosting.scaling.metric is 'concurrency'", "leave"],
    ),
    (
        {"hosting": {"scaling": {"concurrent_requests_per_instance": 3}}},
        ["hosting.scaling:", "concurrent_requests_per_instance 3", "is 'invocations'", "or use hosting.scaling.metric 'concurrency'"],
    ),
    (
        {"hosting": {"scaling": {"floors": {"0 7 ? * MON-FRI *": 5}}}},
        ["hosting.scaling:", "'0 7 ? * MON-FRI *': 5", "min_instances 2 and max_instances 4"],
    ),
    (
        {"hosting": {"scaling": {"floors": {"0 7 ? * MON-FRI *": 3}}}},
        ["hosting.scaling:", "never end", "add one of min_instances 2"],
    ),
    (
        {"hosting": {"scaling": {"floors": {"0 7 * * * *": 2}}}},
        ["hosting.scaling:", "'0 7 * * * *'", "exactly one must be '?'"],
    ),
    (
        {"hosting": {"scaling": None, "initial_instance_count": 1}},
        [
            "hosting:",
            "initial_instance_count 1 is less than one instance",
            "CANARY",
            "initial_instance_count of at least 2, or ALL_AT_ONCE",
        ],
    ),
    (
        {"hosting": {"scaling": {"min_instances": 1}}},
        ["hosting:", "step_percent 50 of scaling.min_instances 1", "scaling.min_instances of at least 2, or ALL_AT_ONCE"],
    ),
    (
        {"hosting": {"fleet_shift": {"step_percent": 10}}},
        ["hosting:", "step_percent 10 of scaling.min_instances 2", "step_percent of at least 50, or scaling.min_instances of at least 10"],
    ),
    (
        {
            "hosting": {
                "fleet_shift": {"type": "LINEAR", "step_percent": 25},
                "scaling": {"min_instances": 3, "max_instances": 4},
                "initial_instance_count": 3,
            }
        },
        [
            "hosting:",
            "step_percent 25 of scaling.min_instances 3",
            "LINEAR",
            "step_percent of at least 34, or scaling.min_instances of at least 4",
        ],
    ),
    (
        {"hosting": {"fleet_shift": {"wait_seconds": 60}}},
        ["hosting:", "alarm window of 120 s", "bake of 60 s", "shorten the window or lengthen the wait"],
    ),
    (
        {"hosting": {"fleet_shift": {"type": "ALL_AT_ONCE", "termination_wait_seconds": 119}}},
        ["hosting:", "alarm window of 120 s", "bake of 119 s"],
    ),
    (
        {"dataset": {"kms_key_arn": "arn:aws:kms:us-east-1:123456789012:key/0a1b"}},
        ["dataset:", "dataset.kms_key_arn arn:aws:kms:us-east-1:123456789012:key/0a1b", "set dataset.uri, or remove the key"],
    ),
    (
        {"tuning": {"extra_fields": ["RandomSeed", "RandomSeed"]}},
        ["tuning:", "tuning.extra_fields ['RandomSeed', 'RandomSeed'] has a field twice"],
    ),
    ({"hosting": {"fleet_shift": {"max_execution_seconds": 720}}}, ["hosting:", "max_execution_seconds 720", "must exceed the 720 s"]),
    (
        # of five instances 39 % are one: five steps, not three
        {
            "hosting": {
                "fleet_shift": {"type": "LINEAR", "step_percent": 39, "max_execution_seconds": 1_620},
                "scaling": None,
                "initial_instance_count": 5,
            }
        },
        ["hosting:", "max_execution_seconds 1620", "must exceed the 1620 s"],
    ),
    ({"review": {"workforce": {"mode": "import"}}}, ["review.workforce:", "workteam_arn is required with mode 'import'"]),
    (
        {"review": {"workforce": {"workteam_arn": "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/t"}}},
        ["review.workforce:", "not allowed with mode 'create'"],
    ),
    (
        {"review": {"threshold": 0.7, "promise": {"max_error": 0.1}}},
        ["review:", "review.promise", "review.threshold 0.7", "use review.threshold 'model', or leave review.promise out"],
    ),
    (
        {"review": {"answers": {"rule": "two_then_third"}}},
        ["review:", "review.answers.rule 'two_then_third'", "Amazon A2I asks a fixed number", "leave review.answers out"],
    ),
    (
        {"review": {"task_time_limit_seconds": 7_200, "task_availability_seconds": 3_600}},
        ["review:", "task_time_limit_seconds 7200", "at most task_availability_seconds 3600"],
    ),
    (
        {"review": {"backend": "hosted", "mail": {"addresses": ["a@b.de"], "after_minutes": 60}, "task_availability_seconds": 3_600}},
        ["review.mail.after_minutes 60", "less than the 60 minutes"],
    ),
    (
        {"review": {"backend": "hosted", "mail": {"addresses": ["a@b.de", "a@b.de"]}}},
        ["review", "review.mail.addresses names a@b.de twice", "leave one out"],
    ),
    (
        {"review": {"answers": {"adaptive": {}}}},
        ["review.answers.adaptive asks one person at a time", "review.backend is 'a2i'", "leave adaptive out"],
    ),
    (
        {"review": {"backend": "hosted", "answers": {"adaptive": {}}, "suggestion_share": 0.2}, "labeling": {"backend": "hosted"}},
        ["review.suggestion_share 0.2 shows the model's label", "count twice", "leave one of them out"],
    ),
    ({"review": {"gold_share": 0.1}}, ["review.gold_share belongs to the hosted review service", "review.backend 'hosted'"]),
    (
        {"review": {"backlog_seconds": 7_200, "task_availability_seconds": 7_200}},
        ["review:", "review.backlog_seconds 7200", "less than review.task_availability_seconds 7200"],
    ),
    ({"drift": {"datapoints_to_alarm": 3, "evaluation_periods": 2}}, ["drift:", "datapoints_to_alarm 3", "at most evaluation_periods 2"]),
    ({"drift": {"schedule_minutes": 120, "unassessed_hours": 3}}, ["drift:", "unassessed_hours 3", "schedule_minutes 120", "at least 4"]),
    ({"hosting": {"capture": "off"}}, ["retraining.on_drift true", "hosting.capture 'off'", "set retraining.on_drift to false", "'app'"]),
    (
        {"hosting": {"capture": "off"}, "retraining": {"on_drift": False}, "drift": {"reference_predictions": 400}},
        ["drift.reference_predictions 400", "hosting.capture 'off'", "leave reference_predictions out"],
    ),
    (
        {"hosting": {"capture": "off"}, "retraining": {"on_drift": False}, "drift": {"schedule_minutes": 30}},
        ["drift.schedule_minutes 30", "leave schedule_minutes out"],
    ),
    ({"hosting": {"capture": "off", "capture_percent": 50}}, ["hosting:", "hosting.capture_percent 50", "leave capture_percent out"]),
    ({"drift": {"schedule_minutes": 1_440, "evaluation_periods": 8}}, ["drift:", "1440 x evaluation_periods 8", "the 10080 minutes"]),
    ({"rollout": {"weight_steps": [0.5, 0.1]}}, ["rollout:", "[0.5, 0.1]", "must rise"]),
    ({"rollout": {"weight_steps": [0.1, 0.1]}}, ["rollout:", "[0.1, 0.1]", "must rise"]),
    (
        {"review": {"backend": "none", "threshold": 0.5}, "labeling": {"enabled": False}},
        ["review.threshold 0.5", "review.backend 'none' asks nobody", "leave threshold out", "use review.backend 'a2i'"],
    ),
    (
        {"review": {"backend": "none", "audit_share": 0.02}, "labeling": {"enabled": False}},
        ["review.audit_share 0.02", "review.backend 'none' asks nobody", "leave audit_share out"],
    ),
    (
        {"review": {"backend": "none", "daily_budget": 10}, "labeling": {"enabled": False}},
        ["review.daily_budget 10", "review.backend 'none' asks nobody", "leave daily_budget out"],
    ),
    (
        {"review": {"backend": "none", "workforce": {"mode": "import", "workteam_arn": WORKTEAM}}, "labeling": {"enabled": False}},
        ["review.workforce imports a work team", "leave review.workforce out"],
    ),
    (
        {"review": {"backend": "none"}, "labeling": {"enabled": False}},
        ["rollout.policy 'canary'", "review.backend 'none' asks nobody", "use rollout.policy 'blue_green'"],
    ),
    (
        {"review": {"backend": "none"}, "labeling": {"enabled": False}, "rollout": {"policy": "shadow"}},
        ["rollout.policy 'shadow'", "review.backend 'none' asks nobody", "review.backend 'a2i' or 'hosted'"],
    ),
    (
        {"rollout": {"policy": "shadow", "weight_steps": [0.2]}},
        ["rollout.weight_steps [0.2]", "'shadow' the challenger answers nobody", "leave weight_steps out"],
    ),
    (
        {"rollout": {"policy": "blue_green", "weight_steps": [0.2]}},
        ["rollout.weight_steps [0.2]", "'blue_green' the challenger takes all", "leave weight_steps out"],
    ),
    *(
        ({"rollout": {"policy": "blue_green", field: value}}, [f"rollout.{field} {value!r}", "'blue_green'", f"leave {field} out"])
        for field, value in (
            ("margin", 0.02),
            ("error", 0.01),
            ("paired_share", 0.5),
            ("reviews_a_day", 10),
            ("max_hours", 24.0),
            ("at_end", "promote_if_equivalent"),
        )
    ),
    ({"rollout": {"max_hours": 0.4}}, ["rollout.max_hours 0.4", "at least 0.5", "3 x rollout.step_seconds 600"]),
    ({"rollout": {"policy": "shadow", "max_hours": 0.1}}, ["rollout.max_hours 0.1", "at least 0.167", "1 x rollout.step_seconds 600"]),
    ({"rollout": {"step_seconds": 180}}, ["rollout.max_hours 168", "at most 50.4", "step_seconds 180", "look less often"]),
    ({"retention": {"prediction_days": 6}}, ["rollout.max_hours 168", "at most the 144 hours", "retention.prediction_days 6"]),
    (
        {"review": {"backend": "none"}, "rollout": {"policy": "blue_green"}},
        ["labeling.enabled true", "review.backend 'none'", "set labeling.enabled to false"],
    ),
    ({"review": {"backend": "hosted"}}, ["labeling.backend 'ground_truth'", "review.backend 'hosted'", "set labeling.backend to 'hosted'"]),
    (
        {"labeling": {"backend": "hosted"}},
        ["labeling.backend 'hosted' needs the page", "review.backend 'a2i'", "use review.backend 'hosted'"],
    ),
    (
        {"review": {"backend": "hosted", "workforce": {"mode": "import", "workteam_arn": WORKTEAM}}, "labeling": {"enabled": False}},
        ["review.workforce imports a work team", "its own user pool", "leave review.workforce out"],
    ),
    ({"review": {"suggestion_share": 0.3}}, ["review.suggestion_share belongs to the hosted", "leave suggestion_share out"]),
    ({"review": {"undo_seconds": 30}}, ["review.undo_seconds belongs to the hosted", "'a2i'", "leave undo_seconds out"]),
    (
        {"review": {"backend": "none", "page": {"rate_limit": 5}}, "labeling": {"enabled": False}},
        ["review.page belongs to the hosted", "'none'", "use review.backend 'hosted'"],
    ),
    *(
        ({"review": {"workforce": {"mode": "import", "workteam_arn": arn}}}, ["workteam_arn", *named])
        for arn, named in (
            (
                WORKTEAM.replace("123456789012", "394669845002").replace("private-crowd/reviewers", "public-crowd/default"),
                ["public-crowd/default", "no private work team", "workteam/private-crowd/<name>"],
            ),
            (WORKTEAM.replace("private", "vendor"), ["vendor-crowd/reviewers", "no private work team"]),
            (WORKTEAM.replace("/reviewers", ""), ["no private work team"]),
            (WORKTEAM + "-", ["no private work team"]),
            (WORKTEAM.replace("arn:aws:", "arn:aws-cn:"), ["partition aws-cn", "arn:aws:"]),
            (WORKTEAM.replace("us-east-1", "eu-west-1"), ["region eu-west-1", "region is us-east-1"]),
        )
    ),
    ({"rollout": {"step_seconds": 60, "max_hours": 1}}, ["rollout.step_seconds 60", "at least the 120 s"]),
    ({"hosting": {"fleet_shift": {"max_latency_ms": 7_001}}}, ["max_latency_ms 7001", "at most 7000", "model_deadline_seconds 8"]),
    ({"api": {"reserved_concurrency": 199}}, ["api.reserved_concurrency 199", "at least 200", "api.burst_limit 200"]),
    (
        {"api": {"reserved_concurrency": 200, "rate_limit": 101, "burst_limit": 1}},
        ["at least 202", "api.rate_limit 101 x hosting.fleet_shift.max_latency_ms 2000"],
    ),
    (
        {"api": {"reserved_concurrency": None}},
        ["api:", "burst_limit 200 + rate_limit 100 x model_deadline_seconds 8 = 1000", "more than 900", "or reserve concurrency"],
    ),
    (
        {"name": "a" * 15, "stage": "b" * 8, "region": "ap-southeast-1"},
        ["name aaaaaaaaaaaaaaa", "stage bbbbbbbb", "region ap-southeast-1", "64 characters", "by 1"],
    ),
]

AT_THE_BOUND: list[dict[str, Any]] = [
    {"hosting": {"capture": "off"}, "retraining": {"on_drift": False}, "drift": {"window_predictions": 300}},
    {"hosting": {"capture": "app", "capture_percent": 1}},
    {"drift": {"schedule_minutes": 120, "unassessed_hours": 4}},
    {"hosting": {"fleet_shift": {"max_execution_seconds": 721}}},
    {"hosting": {"fleet_shift": {"wait_seconds": 120}}},
    {"hosting": {"fleet_shift": {"type": "ALL_AT_ONCE"}, "scaling": None, "initial_instance_count": 1}},
    {"hosting": {"fleet_shift": {"step_percent": 25}, "scaling": {"min_instances": 4}, "initial_instance_count": 4}},
    {"hosting": {"instance_type": "ml.t2.large", "scaling": None}},
    {"hosting": {"scaling": {"metric": "concurrency", "concurrent_requests_per_instance": 1.5}}},
    {"hosting": {"scaling": {"floors": {"0 7 * * ? *": 4, "0 19 * * ? *": 2}}}},
    {"review": {"task_time_limit_seconds": 3_600, "task_availability_seconds": 3_600}},
    {"review": {"backlog_seconds": 7_199, "task_availability_seconds": 7_200}},
    {"drift": {"schedule_minutes": 1_440, "evaluation_periods": 7}},
    {"rollout": {"step_seconds": 120, "max_hours": 33.6}},
    {"rollout": {"max_hours": 0.5}},
    {"rollout": {"policy": "shadow", "approval": "manual", "at_end": "promote_if_equivalent"}},
    {"rollout": {"policy": "blue_green", "approval": "manual"}},
    {"rollout": {"policy": "blue_green", "step_seconds": 120}, "retention": {"prediction_days": 1}},
    {"retention": {"prediction_days": 7}},
    {"hosting": {"fleet_shift": {"max_latency_ms": 7_000}}, "api": {"reserved_concurrency": 700}},
    {"api": {"reserved_concurrency": None, "burst_limit": 100}},
    {"review": {"audit_share": 0}},
    {"review": {"workforce": {"mode": "import", "workteam_arn": WORKTEAM}}},
    {"region": "eu-west-1", "review": {"workforce": {"mode": "import", "workteam_arn": WORKTEAM.replace("us-east-1", "eu-west-1")}}},
    {
        "review": {"backend": "none", "threshold": 0, "audit_share": 0.0},
        "labeling": {"enabled": False},
        "rollout": {"policy": "blue_green"},
    },
    {"review": {"backend": "hosted", "undo_seconds": 0, "page": {"burst_limit": 1}}, "labeling": {"enabled": False}},
    {
        "review": {"backend": "hosted", "answers": {"rule": "two_then_third"}},
        "labeling": {"enabled": False},
    },
    {"review": {"backend": "hosted", "answers": {"adaptive": {}}, "gold_share": 0.1}, "labeling": {"backend": "hosted"}},
    {"name": "a" * 15, "stage": "b" * 7, "region": "ap-southeast-1"},
]


@pytest.mark.parametrize(("sections", "path", "value", "allowed"), BAD_FIELDS, ids=lambda item: item if isinstance(item, str) else None)
def test_a_bad_value_is_named_by_its_path_with_what_is_allowed(
    tmp_path: Path, sections: dict[str, Any], path: str, value: str, allowed: str
) -> None:
    line = next(line for line in problems(tmp_path, sections) if line.startswith(f"  {path}"))
    assert value in line
    assert allowed in line


@pytest.mark.parametrize(("sections", "fragments"), BAD_TOGETHER, ids=[fragments[1] for _, fragments in BAD_TOGETHER])
def test_values_that_do_not_fit_together_are_named_with_what_does(tmp_path: Path, sections: dict[str, Any], fragments: list[str]) -> None:
    (line,) = problems(tmp_path, sections)[1:]
    assert [fragment for fragment in fragments if fragment not in line] == []


@pytest.mark.parametrize("sections", AT_THE_BOUND, ids=str)
def test_a_value_at_its_bound_is_allowed(tmp_path: Path, sections: dict[str, Any]) -> None:
    load_settings(write(tmp_path, **sections))


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = "\n".join(problems(tmp_path, {"region": "mars-1", "review": {"audit_share": 2}}))
    assert "region" in text
    assert "review.audit_share" in text


@pytest.mark.parametrize(
    ("kind", "percent", "counts", "steps"),
    [
        ("ALL_AT_ONCE", 50, (1, 4), 1),
        ("CANARY", 50, (2, 4), 2),
        ("LINEAR", 50, (2, 3), 3),
        ("LINEAR", 25, (4, 4), 4),
        ("LINEAR", 39, (5, 5), 5),
    ],
)
def test_steps_of_a_shift_are_whole_instances(kind: str, percent: int, counts: tuple[int, int], steps: int) -> None:
    """The same number as the embedded AWS takes, at the count that needs the most."""
    shift = FleetShiftSettings.model_validate({"type": kind, "step_percent": percent})
    assert shift.steps(*counts) == steps
    size = {"Type": "CAPACITY_PERCENT", "Value": percent}
    routing = {"Type": kind, "CanarySize": size, "LinearStepSize": size}
    longest = max(len(shift_steps({"TrafficRoutingConfiguration": routing}, {"champion": n})) for n in range(counts[0], counts[1] + 1))
    assert longest == steps


def test_the_longest_bucket_purpose_is_the_one_that_is_measured() -> None:
    assert max(BUCKET_PURPOSES, key=len) == _LONGEST_BUCKET_PURPOSE


@pytest.mark.parametrize("deadline", [4, 8, 18])
def test_no_latency_is_allowed_that_the_api_would_not_wait_for(tmp_path: Path, deadline: int) -> None:
    longest = int(read_timeouts(deadline)[0] * 1_000)
    api = {"model_deadline_seconds": deadline, "reserved_concurrency": 2_000}
    load_settings(write(tmp_path, api=api, hosting={"fleet_shift": {"max_latency_ms": longest}}))
    if longest < 17_000:
        told = problems(tmp_path, {"api": api, "hosting": {"fleet_shift": {"max_latency_ms": longest + 1}}})
        assert any(f"max_latency_ms {longest + 1} must be at most {longest}" in line for line in told)


def test_the_longest_text_fits_into_an_item_of_the_table() -> None:
    """DynamoDB takes 400 KB, names of attributes included; the rest of a record is a few kilobytes."""
    bound = next(item.le for item in DatasetSettings.model_fields["max_text_chars"].metadata if hasattr(item, "le"))
    assert 4 * bound + 20_000 < 400 * 1_024


def test_missing_file_lists_the_stages_that_exist() -> None:
    with pytest.raises(SettingsError, match="dev, newacct, prod"):
        load_settings(SETTINGS / "staging.yaml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"just words", "must hold a mapping of sections, not str"),
        (b"- a\n- b", "must hold a mapping of sections, not list"),
        (b"", "must hold a mapping of sections, not NoneType"),
        (b"stage: [unclosed", "is not valid YAML"),
        (b"stage: test\nname: a\nname: b\n", "the key 'name' stands twice, on lines 2 and 3: keep one of them"),
        (
            b"stage: test\nreview:\n  audit_share: 0.1\n  threshold: model\n  audit_share: 0.2\n",
            "'audit_share' stands twice, on lines 3 and 5",
        ),
        (b"stage: test\nhosting: {scaling: null, scaling: {}}\n", "'scaling' stands twice, on lines 2 and 2"),
        ("stage: test\nname: schön\n".encode("latin-1"), "is not UTF-8: byte 0xF6 on line 2; save it as UTF-8"),
        (b"stage: a\x00b", "is not valid YAML"),
        (b"stage: !!python/object:os.system {}", "is not valid YAML"),
        (b"stage: 2026-13-45", "reads as a date or number and cannot be one"),
        (b"[" * 700, "is not valid YAML: it is nested too deep"),
        (b"stage: test\n? [a]\n: b\n", "is not valid YAML"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"x\.yaml") as caught:
        load_settings(path)
    assert said in str(caught.value)


def test_a_folder_is_no_settings_file(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").mkdir()
    with pytest.raises(SettingsError, match=r"x\.yaml cannot be read: Is a directory"):
        load_settings(tmp_path / "x.yaml")


def test_a_value_that_aliases_blow_up_is_shown_in_part(tmp_path: Path) -> None:
    lines = ["stage: test", "a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefg", "bcdefgh", strict=True)]
    path = tmp_path / "x.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert len(str(caught.value)) < 100_000


@pytest.mark.parametrize("stage", ["dev", "prod", "newacct"])
def test_words_in_quotation_marks_are_labels(tmp_path: Path, stage: str) -> None:
    given = yaml.safe_load((SETTINGS / f"{stage}.yaml").read_text(encoding="utf-8"))
    given["review"].pop("guidelines", None)  # they explain other labels
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(given) + '\ndataset: {labels: ["yes", "no", "on"]}\n', encoding="utf-8")
    assert load_settings(path).dataset.labels == ("yes", "no", "on")


@pytest.mark.parametrize("stage", sorted(path.stem for path in SETTINGS.glob("*.yaml")))
def test_settings_written_as_a_file_are_read_back_the_same(tmp_path: Path, stage: str) -> None:
    settings = load_settings(SETTINGS / f"{stage}.yaml")
    (tmp_path / "own.yaml").write_text(settings_text(settings), encoding="utf-8")
    assert load_settings(tmp_path / "own.yaml") == settings
