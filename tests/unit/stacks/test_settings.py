"""Bad settings stop with the field, the value and what is allowed; the shipped ones load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stacks.settings import SettingsError, load_settings

SETTINGS = Path(__file__).resolve().parents[3] / "settings"


def write(tmp_path: Path, **sections: Any) -> Path:
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump({"stage": "test", **sections}))
    return path


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_shipped_settings_load_and_name_their_stage(stage: str) -> None:
    assert load_settings(SETTINGS / f"{stage}.yaml").stage == stage


def test_defaults_alone_satisfy_every_rule(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path)).hosting.fleet_shift.type == "CANARY"


@pytest.mark.parametrize(
    ("sections", "fragments"),
    [
        ({"review": {"audit_share": 1.5}}, ["review.audit_share", "1.5", "less than or equal to 1"]),
        ({"rewiev": {}}, ["rewiev", "Extra inputs"]),
        ({"region": "mars-1"}, ["region", "mars-1", "us-east-1"]),
        ({"dataset": {"labels": ["a", "a"]}}, ["dataset", "label twice"]),
        ({"dataset": {"labels": ["Positive"]}}, ["dataset.labels.0", "Positive"]),
        ({"network": {"mode": "vpc"}}, ["network", "subnet_ids"]),
        ({"network": {"subnet_ids": ["subnet-1"]}}, ["network", "remove them"]),
        ({"tuning": {"strategy": "Hyperband"}}, ["tuning", "early_stopping"]),
        ({"tuning": {"strategy": "Grid"}}, ["tuning", "categorical"]),
        ({"tuning": {"max_jobs": 1, "max_parallel_jobs": 2}}, ["tuning", "max_parallel_jobs 2"]),
        ({"tuning": {"learning_rate": {"low": 0.1, "high": 0.01}}}, ["tuning.learning_rate", "must be below"]),
        ({"hosting": {"initial_instance_count": 1}}, ["hosting", "CANARY", "at least 2"]),
        ({"hosting": {"scaling": {"min_instances": 1}}}, ["hosting", "shrink to one instance"]),
        ({"hosting": {"instance_type": "ml.t2.large"}}, ["hosting", "cannot autoscale"]),
        ({"hosting": {"initial_weights": {"champion": 1.0}}}, ["hosting", "exactly champion and challenger"]),
        ({"hosting": {"initial_weights": {"champion": 0.0, "challenger": 1.0}}}, ["hosting", "above 0"]),
        ({"hosting": {"initial_weights": {"blue": 1.0, "green": 0.0}}}, ["hosting.initial_weights", "champion"]),
        ({"hosting": {"fleet_shift": {"wait_seconds": 60}}}, ["hosting", "alarm window of 120 s", "bake of 60 s"]),
        ({"hosting": {"fleet_shift": {"max_execution_seconds": 600}}}, ["hosting", "must exceed"]),
        ({"review": {"workforce": {"mode": "import"}}}, ["review.workforce", "workteam_arn"]),
        ({"drift": {"datapoints_to_alarm": 3, "evaluation_periods": 2}}, ["drift", "at most evaluation_periods 2"]),
        ({"rollout": {"weight_steps": [0.5, 0.1]}}, ["rollout", "must rise"]),
        ({"stage": "Prod"}, ["stage", "Prod"]),
    ],
)
def test_bad_value_is_named_with_what_is_allowed(tmp_path: Path, sections: dict[str, Any], fragments: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, **sections))
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_missing_file_lists_the_stages_that_exist() -> None:
    with pytest.raises(SettingsError, match="dev, prod"):
        load_settings(SETTINGS / "staging.yaml")


@pytest.mark.parametrize("text", ["just words", "- a\n- b", "stage: [unclosed"])
def test_file_that_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"x\.yaml"):
        load_settings(path)
