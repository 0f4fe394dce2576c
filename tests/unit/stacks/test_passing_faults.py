"""Every error of AWS that may pass is tried again, in each task of a state machine that calls a function.

botocore raises an error under the name of its shape where the service's model has one, and as ``ClientError`` otherwise. Step Functions
compares that name, not its base class. What a function calls is read from the modules of its archive, by the names of boto3's methods.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.exceptions
import pytest
from botocore import xform_name
from botocore.model import ServiceModel
from botocore.session import Session, get_session

from lambdas.common.batch_get import TableIsBusy
from stacks.constructs.function_archive import ROOT, archive_files
from stacks.constructs.passing_faults import AWS_FAULTS

PROCESSES = ("labeling", "retraining", "rollout", "tuning")
"""Those with a state machine: its functions are in the folder of the same name."""
BY_OTHERS = {"labeling/consolidate_annotations", "labeling/pre_annotation", "retraining/decide_retraining"}
"""Functions that Ground Truth or EventBridge calls, and no state machine."""
FOLDERS = [f"{process}/{path.parent.name}" for process in PROCESSES for path in (ROOT / "lambdas" / process).glob("*/handler.py")]
FUNCTIONS = sorted({*FOLDERS} - BY_OTHERS)
FINAL = {
    # What is named is not there, or not in a state for this.
    "InvalidObjectState", "NoSuchBucket", "NoSuchKey", "ParameterNotFound", "ParameterVersionNotFound", "ResourceNotFound",
    "ResourceNotFoundException", "StateMachineDoesNotExist", "StateMachineTypeNotSupported",
    # The answer that a condition or a token asks for.
    "ConditionalCheckFailedException", "ParameterAlreadyExists", "TokenAlreadyExistsException",
    # A quota that somebody must raise, or make room in.
    "HierarchyLevelLimitExceededException", "ItemCollectionSizeLimitExceededException", "LimitExceededException", "ParameterLimitExceeded",
    "ParameterMaxVersionLimitExceeded", "PoliciesLimitExceededException", "ResourceLimitExceeded", "TooManyParts",
    # The same request would be refused again.
    "EncryptionTypeMismatch", "HierarchyTypeMismatchException", "IncompatiblePolicyException", "InsufficientCapabilitiesException",
    "InvalidAllowedPatternException", "InvalidArn", "InvalidKeyId", "InvalidNextToken", "InvalidPolicyAttributeException",
    "InvalidPolicyTypeException", "InvalidRequest", "InvalidToken", "InvalidWriteOffset", "ParameterPatternMismatchException",
    "UnsupportedParameterType", "ValidationException",
}  # fmt: skip
"""Errors of these calls that do not pass by themselves."""
ANYWHERE = re.compile("Throttl|Throughput|RequestLimit|^Internal(Server|Service)")
"""Names that any operation of a service may give, although its model does not say so."""


def test_the_names_are_those_that_botocore_raises() -> None:
    exceptions = Session().create_client("dynamodb", region_name="us-east-1").exceptions
    assert exceptions.from_code("ProvisionedThroughputExceededException").__name__ == "ProvisionedThroughputExceededException"
    assert exceptions.from_code("a code without a shape").__name__ == "ClientError"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_error_of_a_functions_calls_is_final_or_tried_again(function: str) -> None:
    given = {error for call in calls(function) for error in errors(*call)}
    assert given - FINAL - {*AWS_FAULTS} == set()


def test_so_are_failed_connections_and_a_busy_table() -> None:
    assert own_words() - {*AWS_FAULTS} == set()


def test_no_error_is_called_final_or_passing_that_no_call_gives() -> None:
    given = {error for function in FUNCTIONS for call in calls(function) for error in errors(*call)}
    assert FINAL - given == set()
    assert {*AWS_FAULTS} - given == own_words()
    assert FINAL & {*AWS_FAULTS} == set()


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("rollout/judge_rollout", ("cloudwatch", "GetMetricData")),
        ("rollout/judge_rollout", ("dynamodb", "BatchGetItem")),
        ("rollout/apply_release", ("cloudformation", "DescribeStackEvents")),
        ("retraining/freeze_dataset", ("s3", "ListObjectsV2")),
        ("tuning/select_candidates", ("sagemaker", "ListTrainingJobsForHyperParameterTuningJob")),
        ("labeling/import_labels", ("dynamodb", "UpdateItem")),
    ],
)
def test_calls_of_clients_paginators_and_tables_are_found(function: str, call: tuple[str, str]) -> None:
    assert call in calls(function)


def test_every_state_machine_is_looked_at_and_one_function_makes_its_tasks() -> None:
    """``invoke`` gives them the retries; tests/infrastructure/test_tuning_stack.py looks at what is deployed."""
    trees = {path: ast.parse(path.read_bytes()) for path in sorted((ROOT / "stacks").rglob("*.py"))}
    made = [(path, node) for path, tree in trees.items() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    parts = {word for _, node in made if name_of(node) == "StateMachine" for word in given_parts(node)}
    assert parts == {*PROCESSES}
    assert [path.name for path, node in made if name_of(node) == "LambdaInvoke"] == ["state_machine.py"]


def given_parts(call: ast.Call) -> Iterator[Any]:
    yield from (word.value.value for word in call.keywords if word.arg == "part" and isinstance(word.value, ast.Constant))


def name_of(call: ast.Call) -> str:
    called = call.func
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


@cache
def calls(function: str) -> frozenset[tuple[str, str]]:
    """(service, operation) of all that the modules of a function's archive call."""
    services, methods = set(), set()
    for path in archive_files(function):
        if path.endswith(".py"):
            more = calls_in(path)
            services, methods = services | more[0], methods | more[1]
    found = {(service, name) for service in services for name in model(service).operation_names if xform_name(name) in methods}
    assert {service for service, _ in found} == services, f"{function} makes a client that nothing is called of"
    assert found, f"no call of {function} is found"
    return frozenset(found)


@cache
def calls_in(path: str) -> tuple[frozenset[str], frozenset[str]]:
    """(services whose clients are made, methods that are called), as far as the module says so."""
    services, methods = set(), set()
    for node in ast.walk(ast.parse((ROOT / path).read_bytes())):
        if isinstance(node, ast.Call):
            name = name_of(node)
            methods.add(name)
            words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            if name == "client":
                services.update(words)
            elif name in ("dynamodb_table", "prediction_store"):
                services.add("dynamodb")
            elif name == "get_paginator":
                methods.update(words)
    return frozenset(services), frozenset(methods)


@cache
def model(service: str) -> ServiceModel:
    return get_session().get_service_model(service)


@cache
def errors(service: str, operation: str) -> frozenset[str]:
    """What the model says of the operation, and what any operation of the service may give."""
    shapes = model(service).operation_model(operation).error_shapes
    return frozenset(
        {shape.name for shape in shapes} | {shape.name for shape in model(service).error_shapes if ANYWHERE.search(shape.name)}
    )


def own_words() -> set[str]:
    """What has no shape: an error without one, nothing or only a part of an answer, and our own word for keys that were left unread."""
    bases = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError, botocore.exceptions.IncompleteReadError)
    known = [one for one in vars(botocore.exceptions).values() if isinstance(one, type)]
    return {"ClientError", TableIsBusy.__name__, *(one.__name__ for one in known if issubclass(one, bases))}
