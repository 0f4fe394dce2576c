"""Every SageMaker job of every synthesised state machine has only fields that Step Functions' integrations are known to take."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Template
from botocore.model import Shape
from botocore.session import get_session
from deployed_definition import definition

from embedded_aws.step_functions.fields import ACCEPTED, Tree, invalid_definition, refused

TUNING = "arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync"


def machines(assembly: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(assembly.glob("*.template.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if any(item["Type"] == "AWS::StepFunctions::StateMachine" for item in content["Resources"].values()):
            yield path.name, definition(Template.from_json(content))


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_no_synthesised_job_has_a_field_that_step_functions_may_refuse(synthesised: Callable[[str], Path], stage: str) -> None:
    found = dict(machines(synthesised(stage)))
    assert {name: problem for name, machine in found.items() if (problem := invalid_definition(json.dumps(machine)))} == {}
    text = json.dumps(found)
    assert {job for job in ACCEPTED if f":::sagemaker:{job}.sync" in text} == set(ACCEPTED) - {"createTrainingJob"}


@pytest.mark.parametrize("field", ["RandomSeed", "StrategyConfig", "TuningJobCompletionCriteria"])
def test_a_nested_field_that_is_not_known_is_named_with_its_state(field: str) -> None:
    state = {"Type": "Task", "Resource": TUNING, "Parameters": {"HyperParameterTuningJobConfig": {f"{field}.$": "$.x"}}}
    inside = {"Type": "Map", "ItemProcessor": {"StartAt": "Tune", "States": {"Tune": state}}}
    found = invalid_definition(json.dumps({"StartAt": "Each", "States": {"Each": inside}}))
    where = "/States/Each/ItemProcessor/States/Tune/Parameters"
    assert found == f'SCHEMA_VALIDATION_FAILED: The field "{field}" is not supported by Step Functions at {where}'


def test_keys_of_the_callers_own_and_other_integrations_are_left_alone() -> None:
    own = {"TrainingJobDefinition": {"StaticHyperParameters": {"anything": "1", "epochs.$": "$.x"}}}
    assert list(refused(TUNING, own)) == []
    assert list(refused("arn:aws:states:::aws-sdk:sagemaker:createHyperParameterTuningJob", {"RandomSeed": 1})) == []


def test_a_field_that_the_account_takes_is_taken_wherever_it_stands() -> None:
    request = {"HyperParameterTuningJobConfig": {"RandomSeed": 1, "StrategyConfig": {}}}
    assert list(refused(TUNING, request, also=frozenset({"RandomSeed"}))) == ["StrategyConfig"]


def absent(shape: Shape, tree: Tree, path: str) -> Iterator[str]:
    """Listed fields that SageMaker's own API does not have: a misspelt one would hide a fault."""
    members: dict[str, Shape] = (shape.member if shape.type_name == "list" else shape).members
    for name, below in tree.items():
        if name not in members:
            yield f"{path}.{name}"
        elif below is not None:
            yield from absent(members[name], below, f"{path}.{name}")


@pytest.mark.parametrize("job", ACCEPTED)
def test_every_listed_field_exists_in_the_api(job: str) -> None:
    shape = get_session().get_service_model("sagemaker").operation_model(job[0].upper() + job[1:]).input_shape
    assert shape is not None
    assert list(absent(shape, ACCEPTED[job], job)) == []
