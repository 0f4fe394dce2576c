"""The functions of a retraining against the embedded S3 and Step Functions: versions as streams, and earlier executions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.dataset import InvalidDataset, Row
from contracts.dataset_files import write_version
from embedded_aws.tools import launcher
from lambdas.common import clients
from lambdas.retraining.decide_retraining import handler as decide
from lambdas.retraining.decide_retraining.decision import execution_name
from lambdas.retraining.freeze_dataset.freeze import Frozen, LabelCounts
from lambdas.retraining.freeze_dataset.versions import DatasetVersions

WATERMARK = "2020-01-01T00:00:00+00:00"
"""Before this test, as every watermark is before the executions over its dataset."""


def test_a_version_of_many_chunks_goes_to_s3_and_back(aws: Callable[..., Any], tmp_path: Path) -> None:
    aws("s3").create_bucket(Bucket="streamed-versions")
    rows = [Row(f"r{n:04d}", f"{n} {'é' * 1_000}", "b", {"b": 2, "a": 1}, f"g{n}", "all", "file:x") for n in range(1_000)]
    (tmp_path / "made").mkdir()
    manifest, files = write_version(
        tmp_path / "made", {"train": rows, "validation": rows[:3], "test": []}, ("a", "b"), parent=None, watermark=None
    )
    versions = DatasetVersions(aws("s3"), "streamed-versions")
    uri = versions.write(Frozen(manifest, files, LabelCounts(0, 0, 0, 0, 0), 0))
    stored = aws("s3").get_object(Bucket="streamed-versions", Key=f"datasets/{manifest.version}/train/data.jsonl")["Body"].read()
    assert len(stored) > 2_000_000
    assert hashlib.sha256(stored).hexdigest() == manifest.files["train/data.jsonl"]
    found = versions.read(uri, tmp_path)
    assert found.manifest == manifest
    train = found.splits["train"]
    assert [train.read(entry) for entry in train.entries] == rows
    assert [entry.id for entry in found.splits["validation"].entries] == ["r0000", "r0001", "r0002"]
    aws("s3").put_object(Bucket="streamed-versions", Key=f"datasets/{manifest.version}/train/data.jsonl", Body=stored[:-1])
    with pytest.raises(InvalidDataset, match=r"train/data\.jsonl has SHA-256"):
        versions.read(uri, tmp_path)


def test_earlier_executions_over_the_same_dataset_are_found(
    emulator: launcher.Emulator,
    aws: Callable[..., Any],
    make_role: Callable[..., str],
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sfn = aws("stepfunctions")
    definition = {"StartAt": "Which", "States": {
        "Which": {"Type": "Choice", "Choices": [{"Variable": "$.fails", "BooleanEquals": True, "Next": "No"}], "Default": "Yes"},
        "No": {"Type": "Fail"}, "Yes": {"Type": "Succeed"},
    }}  # fmt: skip
    role = make_role("retraining-history", [], ["states.amazonaws.com"])
    machine = sfn.create_state_machine(name="retraining-history", definition=json.dumps(definition), roleArn=role)["stateMachineArn"]
    for name, value in {
        "AWS_ENDPOINT_URL": emulator.url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "STATE_MACHINE_ARN": machine, "PREDICTIONS_TABLE": "t", "DATASET_PARAMETER": "p", "MIN_NEW_LABELS": "20", "LOOKBACK_DAYS": "9",
        "LABELS": "a,b",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    clients.client.cache_clear()
    decide._environment.cache_clear()

    def run(name: str, *, fails: bool) -> None:
        arn = sfn.start_execution(stateMachineArn=machine, name=name, input=json.dumps({"fails": fails}))["executionArn"]
        wait_until(lambda: sfn.describe_execution(executionArn=arn)["status"] != "RUNNING")

    assert decide._history(WATERMARK).last == 0
    for number in range(1, 13):
        run(execution_name(WATERMARK, number), fails=number in (2, 5))
    run(execution_name("2021-01-01T00:00:00+00:00", 1), fails=True)
    run("by-hand", fails=True)
    found = decide._history(WATERMARK)
    assert (found.last, found.running) == (12, None)
    assert found.failed == (execution_name(WATERMARK, 2), execution_name(WATERMARK, 5))
    assert decide._history("2099-01-01T00:00:00+00:00").last == 0
    clients.client.cache_clear()
    decide._environment.cache_clear()
