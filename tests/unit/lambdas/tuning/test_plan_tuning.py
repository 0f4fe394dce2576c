"""The plan of a tuning execution: checked input, deterministic names, only the channels that there are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.tuning.plan_tuning.plan import InvalidInput, NoDataset, TuningInput, channels, job_name, read_input

CURRENT = "s3://data/datasets/0123456789abcdef"


def read(raw: dict[str, Any], current: str = CURRENT) -> TuningInput:
    return read_input(raw, current_dataset=current, default_jobs=6)


def test_an_empty_input_takes_the_current_dataset_and_the_settings() -> None:
    assert read({}) == TuningInput(CURRENT, 6, (), False)


def test_the_input_wins_and_the_link_to_the_calling_execution_is_no_unknown_field() -> None:
    raw = {
        "dataset_uri": "s3://data/datasets/other/", "max_jobs": 2, "warm_start_parents": ["reviewloop-dev-1a2b3c4d"],
        "continue_from_champion": True, "reason": "drift", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn:x",
    }  # fmt: skip
    assert read(raw) == TuningInput("s3://data/datasets/other", 2, ("reviewloop-dev-1a2b3c4d",), True)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"max_job": 2}, "max_job"),
        ({"max_jobs": 0}, "max_jobs = 0"),
        ({"max_jobs": 101}, "max_jobs = 101"),
        ({"max_jobs": "2"}, "max_jobs = '2'"),
        ({"max_jobs": True}, "max_jobs = True"),
        ({"dataset_uri": "https://data/x"}, "dataset_uri"),
        ({"dataset_uri": "s3://data"}, "dataset_uri"),
        ({"dataset_uri": 7}, "dataset_uri"),
        ({"warm_start_parents": "one"}, "warm_start_parents"),
        ({"warm_start_parents": ["-bad"]}, "warm_start_parents"),
        ({"warm_start_parents": list("abcdef")}, "at most 5"),
        ({"continue_from_champion": "yes"}, "continue_from_champion"),
    ],
)
def test_a_bad_field_is_named_with_its_value(raw: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(named)):
        read(raw)


def test_without_any_dataset_the_error_says_what_to_do() -> None:
    with pytest.raises(NoDataset, match="upload one and set the parameter 'dataset'"):
        read({}, current="none")


@given(st.from_regex(r"[a-z][a-z0-9]{1,14}-[a-z][a-z0-9]{1,7}", fullmatch=True), st.text(min_size=1, max_size=60))
def test_a_job_name_fits_is_accepted_and_depends_on_the_execution_only(prefix: str, execution: str) -> None:
    name = job_name(prefix, execution)
    assert len(name) <= 32
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}", name)
    assert name == job_name(prefix, execution) != job_name(prefix, execution + "x")


@pytest.mark.parametrize(
    ("again", "champion", "with_parent"), [(True, "s3://m/model.tar.gz", True), (False, "s3://m/model.tar.gz", False), (True, None, False)]
)
def test_the_parent_channel_is_there_only_to_go_on_from_a_champion(again: bool, champion: str | None, with_parent: bool) -> None:
    planned = channels(
        TuningInput(CURRENT, 2, (), again), code_uri="s3://a/c.gz", base_model_uri="s3://data/base-model/", champion_model_uri=champion
    )
    sources = {item["ChannelName"]: item["DataSource"]["S3DataSource"]["S3Uri"] for item in planned}
    expected = {
        "code": "s3://a/c.gz", "base": "s3://data/base-model/", "train": f"{CURRENT}/train/", "validation": f"{CURRENT}/validation/",
        "manifest": f"{CURRENT}/manifest.json",
    }  # fmt: skip
    assert sources == (expected | {"parent": champion} if with_parent else expected)
