"""The literal names. Every other test asks ``stacks.names``; here a changed name is seen, because it would replace the resource."""

from __future__ import annotations

from pathlib import Path

import pytest

from stacks.names import BUCKET_PURPOSES, Names
from stacks.settings import load_settings

NAMES = Names(load_settings(Path(__file__).resolve().parents[3] / "settings" / "dev.yaml"), "123456789012")


def test_names_begin_with_application_and_stage() -> None:
    by_part = (NAMES.stack, NAMES.function, NAMES.state_machine, NAMES.queue, NAMES.alarm, NAMES.rule, NAMES.scaling_policy)
    assert {name("part") for name in by_part} == {"reviewloop-dev-part"}
    assert NAMES.parameter("release") == "/reviewloop/dev/release"
    assert NAMES.metric_namespace == "ReviewLoop/reviewloop/dev"


def test_names_that_others_use_literally_stay() -> None:
    assert {name: getattr(NAMES, name) for name in (
        "endpoint", "endpoint_role", "drift_alarm", "flow_definition", "reviewers", "sign_in_domain", "model_package_group",
        "predictions_table", "pairs_table", "review_tasks_table", "alert_topic", "database", "workgroup",
    )} == {
        "endpoint": "reviewloop-dev",
        "endpoint_role": "reviewloop-dev-endpoint-us-east-1",
        "drift_alarm": "reviewloop-dev-drift",
        "flow_definition": "reviewloop-dev-review",
        "reviewers": "reviewloop-dev-reviewers",
        "sign_in_domain": "reviewloop-dev-123456789012-us-east-1",
        "model_package_group": "reviewloop-dev",
        "predictions_table": "reviewloop-dev-predictions",
        "pairs_table": "reviewloop-dev-pairs",
        "review_tasks_table": "reviewloop-dev-review-tasks",
        "alert_topic": "reviewloop-dev-alerts",
        "database": "reviewloop_dev",
        "workgroup": "reviewloop-dev",
    }  # fmt: skip
    assert NAMES.operating_alarms("champion") == ("reviewloop-dev-champion-errors", "reviewloop-dev-champion-latency")
    assert NAMES.rollback_alarms("champion") == "reviewloop-dev-champion-green-"


def test_buckets_carry_account_and_region() -> None:
    assert [NAMES.bucket(purpose) for purpose in BUCKET_PURPOSES] == [
        f"reviewloop-dev-{purpose}-123456789012-us-east-1" for purpose in ("data", "capture", "review", "models", "access-logs")
    ]
    assert NAMES.bucket_arn("data", "datasets/*") == "arn:aws:s3:::reviewloop-dev-data-123456789012-us-east-1/datasets/*"
    with pytest.raises(KeyError, match="'logs' is unknown; known: data, capture"):
        NAMES.bucket("logs")


def test_addresses_have_region_and_account() -> None:
    assert NAMES.arn("sns", NAMES.alert_topic) == "arn:aws:sns:us-east-1:123456789012:reviewloop-dev-alerts"
    assert NAMES.queue_url("review-requests") == "https://sqs.us-east-1.amazonaws.com/123456789012/reviewloop-dev-review-requests"
    assert NAMES.model_packages_arn == "arn:aws:sagemaker:us-east-1:123456789012:model-package/reviewloop-dev/*"
