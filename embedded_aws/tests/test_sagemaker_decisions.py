"""Every member of every Create request that the embedded AWS takes is honoured, ignored for a reason, or refused by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape, StructureShape

from embedded_aws.sagemaker import decisions
from embedded_aws.sagemaker.decisions import TABLES, Handled, Ignored, Only, Refused, problems

MODEL = ServiceModel(Loader().load_service_model("sagemaker", "service-2"))
SOURCE = Path(decisions.__file__).parents[1]
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312-ubuntu22.04-sagemaker"


def members(shape: Shape) -> dict[str, Shape] | None:
    """Those of a structure, or of a list's structures; None for anything else."""
    while shape.type_name == "list":
        shape = shape.member  # type: ignore[attr-defined]
    return dict(shape.members) if isinstance(shape, StructureShape) else None


def walk(table: dict[str, Any], shape: Shape, path: str) -> Iterator[str]:
    """What is wrong with a table: members without a decision, decisions about what the service does not have."""
    known = members(shape) or {}
    for name in sorted(known.keys() - table.keys()):
        yield f"{path}.{name} has no decision"
    for name in sorted(table.keys() - known.keys()):
        yield f"{path}.{name} is no member"
    for name in sorted(known.keys() & table.keys()):
        decision = table[name]
        if isinstance(decision, dict):
            yield from walk(decision, known[name], f"{path}.{name}")
        elif not isinstance(decision, Handled | Ignored | Refused | Only):
            yield f"{path}.{name} has {decision!r}"


@pytest.mark.parametrize("operation", sorted(TABLES))
def test_every_member_has_a_decision(operation: str) -> None:
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    assert list(walk(TABLES[operation], shape, operation)) == []


def test_every_emulated_create_operation_has_a_table() -> None:
    emulated = {name for path in SOURCE.rglob("*.py") for name in re.findall(r'@operation\("sagemaker", "(Create\w+)"\)', path.read_text())}
    assert emulated == TABLES.keys()


def test_reasons_are_sentences_that_help() -> None:
    def texts(table: dict[str, Any]) -> Iterator[str]:
        for decision in table.values():
            if isinstance(decision, dict):
                yield from texts(decision)
            elif isinstance(decision, Only):
                yield decision.said
            elif isinstance(decision, str):
                yield decision

    found = [text for table in TABLES.values() for text in texts(table)]
    assert [text for text in found if len(text) < 15 or text.endswith(".")] == []


TRAINING: dict[str, Any] = {
    "TrainingJobName": "j",
    "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File", "ContainerEntrypoint": ["sh"]},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "InputDataConfig": [{"ChannelName": "a", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/a"}}}],
    "VpcConfig": {"Subnets": ["s"], "SecurityGroupIds": ["g"]},
    "EnableManagedSpotTraining": True,
}


def test_a_request_of_what_is_honoured_or_ignored_has_no_problem() -> None:
    assert problems("CreateTrainingJob", TRAINING) == []
    assert problems("DescribeTrainingJob", {"InstanceCount": 2}) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ResourceConfig": {"InstanceCount": 2}}, "ResourceConfig.InstanceCount 2 is not emulated: every job runs as one process here: 1"),
        ({"ResourceConfig": {"KeepAlivePeriodInSeconds": 60}}, "ResourceConfig.KeepAlivePeriodInSeconds is not emulated"),
        (
            {"AlgorithmSpecification": {"TrainingInputMode": "FastFile"}},
            "AlgorithmSpecification.TrainingInputMode 'FastFile' is not",
        ),
        ({"AlgorithmSpecification": {"TrainingInputMode": "Pipe"}}, "AlgorithmSpecification.TrainingInputMode 'Pipe' is not emulated"),
        ({"AlgorithmSpecification": {"TrainingImage": "xgboost:1"}}, "AlgorithmSpecification.TrainingImage 'xgboost:1' is not emulated"),
        ({"InputDataConfig": [{"InputMode": "Pipe"}]}, "InputDataConfig.1.InputMode 'Pipe' is not emulated"),
        (
            {"InputDataConfig": [{}, {"DataSource": {"FileSystemDataSource": {"FileSystemId": "fs-1"}}}]},
            "InputDataConfig.2.DataSource.FileSystemDataSource is not emulated: channels come from S3 here: use S3DataSource",
        ),
        ({"DebugHookConfig": {"S3OutputPath": "s3://b/d"}}, "DebugHookConfig is not emulated"),
        ({"ProfilerConfig": {"DisableProfiler": False}}, "ProfilerConfig.DisableProfiler False is not emulated"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_path(change: dict[str, Any], said: str) -> None:
    [found] = problems("CreateTrainingJob", change)
    assert found.startswith(said)
