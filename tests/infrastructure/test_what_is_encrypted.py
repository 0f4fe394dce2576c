"""docs/security.md, "Data": what is under the customer managed key, and the three things that are not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SYNTHESISED = Callable[[str], Path]


def resources(assembly: Path, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file and logical id, properties) of a type in every stack of a stage."""
    for path in sorted(assembly.glob("*.template.json")):
        for name, item in json.loads(path.read_bytes())["Resources"].items():
            if item["Type"] == kind:
                yield f"{path.name}/{name}", item.get("Properties", {})


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_only_the_bucket_of_access_logs_has_the_service_s_own_encryption(stage: str, synthesised: SYNTHESISED) -> None:
    by_algorithm: dict[str, list[str]] = {}
    for name, properties in resources(synthesised(stage), "AWS::S3::Bucket"):
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        by_algorithm.setdefault(rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"], []).append(name)
    assert len(by_algorithm["aws:kms"]) == 4
    (logs,) = by_algorithm["AES256"]
    assert "AccessLogsBucket" in logs


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("AWS::Logs::LogGroup", "KmsKeyId"),
        ("AWS::SQS::Queue", "KmsMasterKeyId"),
        ("AWS::SNS::Topic", "KmsMasterKeyId"),
        ("AWS::DynamoDB::Table", "SSESpecification"),
    ],
)
def test_everything_else_that_the_stacks_make_is_under_the_key(kind: str, key: str, synthesised: SYNTHESISED) -> None:
    for stage in ("dev", "prod"):
        found = list(resources(synthesised(stage), kind))
        assert found
        assert [name for name, properties in found if not properties.get(key)] == []


def test_only_the_services_own_log_groups_are_not_made_by_a_stack(synthesised: SYNTHESISED) -> None:
    """A function or API without a log group of its own would get one that nothing encrypts and that is kept for ever."""
    for stage in ("dev", "prod"):
        groups = [json.dumps(properties.get("LogGroupName")) for _, properties in resources(synthesised(stage), "AWS::Logs::LogGroup")]
        for name, properties in resources(synthesised(stage), "AWS::Lambda::Function"):
            config = properties.get("LoggingConfig", {})
            assert "LogGroup" in config or json.dumps(f"/aws/lambda/{properties.get('FunctionName')}") in groups, name
