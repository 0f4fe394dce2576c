"""A state machine's definition as it is deployed, and the API requests that its tasks make."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import regex
from aws_cdk.assertions import Template
from botocore.model import Shape
from botocore.session import get_session
from botocore.validate import ParamValidator

from stacks.names import Names
from stacks.settings import Settings, load_settings

SETTINGS = Path(__file__).resolve().parents[2] / "settings"
ACCOUNT = "123456789012"
PSEUDO = {"AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::URLSuffix": "amazonaws.com"}


def names_of(settings: Settings) -> Names:
    """The names of a stage, in the account whose id :func:`resolve` fills in."""
    return Names(settings, ACCOUNT)


@cache
def stage_names(stage: str) -> Names:
    """:func:`names_of` a stage that the project ships."""
    return names_of(load_settings(SETTINGS / f"{stage}.yaml"))


def resolve(template: dict[str, Any], value: Any) -> Any:
    """Intrinsic functions as CloudFormation would fill them in; ARNs of resources get their logical id."""
    if isinstance(value, list):
        return [resolve(template, item) for item in value]
    if not isinstance(value, dict):
        return value
    intrinsic = {
        "Ref": lambda name: PSEUDO.get(name) or f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{name}",
        "Fn::GetAtt": lambda argument: f"arn:aws:iam::{ACCOUNT}:role/{argument[0]}",
        "Fn::Join": lambda argument: argument[0].join(resolve(template, part) for part in argument[1]),
        "Fn::Sub": lambda text: re.sub(r"\$\{([^}]+)\}", lambda found: PSEUDO[found[1]], text),
    }
    for name, compute in intrinsic.items():
        if name in value:
            return compute(value[name])
    return {key: resolve(template, item) for key, item in value.items()}


def definition(template: Template) -> dict[str, Any]:
    """The one state machine of a template."""
    document = template.to_json()
    (machine,) = (item for item in document["Resources"].values() if item["Type"] == "AWS::StepFunctions::StateMachine")
    found: dict[str, Any] = json.loads(resolve(document, machine["Properties"]["DefinitionString"]))
    return found


def statements(template: Template, role: str) -> list[dict[str, Any]]:
    """The statements of every policy of the role whose logical id begins so, resolved."""
    document = template.to_json()
    found = [
        statement
        for policy in template.find_resources("AWS::IAM::Policy").values()
        if any(item["Ref"].startswith(role) for item in policy["Properties"]["Roles"])
        for statement in resolve(document, policy["Properties"]["PolicyDocument"]["Statement"])
    ]
    assert found, f"no policy for {role}"
    return found


def grants(template: Template, role: str) -> dict[str, set[str]]:
    """Action -> resources of the role whose logical id begins so."""
    found: dict[str, set[str]] = {}
    for statement in statements(template, role):
        assert statement["Effect"] == "Allow"
        actions, resources = (value if isinstance(value, list) else [value] for value in (statement["Action"], statement["Resource"]))
        for action in actions:
            found.setdefault(action, set()).update(resources)
    return found


def each(actions: Sequence[str], *resources: str) -> dict[str, set[str]]:
    """Several actions with the same resources, to compare with :func:`grants`."""
    return {action: set(resources) for action in actions}


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}"


def properties(template: Template, kind: str) -> list[dict[str, Any]]:
    """Resolved properties of all resources of a type, in the order of their logical ids."""
    document = template.to_json()
    return [resolve(document, resource["Properties"]) for _, resource in sorted(template.find_resources(kind).items())]


def fill_in(parameters: Any, state: Any) -> Any:
    """Payload template: fields ending in ``.$`` take their value from the state's input by a plain path."""
    if isinstance(parameters, list):
        return [fill_in(item, state) for item in parameters]
    if not isinstance(parameters, dict):
        return parameters
    result = {}
    for key, value in parameters.items():
        if key.endswith(".$"):
            found = state
            for part in value.removeprefix("$.").split("."):
                found = found[part]
            result[key.removesuffix(".$")] = found
        else:
            result[key] = fill_in(value, state)
    return result


def problems(operation: str, request: dict[str, Any]) -> list[str]:
    """What SageMaker would refuse: botocore's model, and the patterns and upper bounds that botocore itself ignores."""
    shape = get_session().get_service_model("sagemaker").operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        return [report.generate_report()]
    return _beyond_botocore(shape, request, operation)


def _beyond_botocore(shape: Shape, value: Any, path: str) -> list[str]:
    if shape.type_name == "structure":
        members: dict[str, Shape] = shape.members
        return [text for key, item in value.items() if key in members for text in _beyond_botocore(members[key], item, f"{path}.{key}")]
    found = []
    if "max" in shape.metadata and (value if isinstance(value, int | float) else len(value)) > shape.metadata["max"]:
        found.append(f"{path} = {value!r} is above {shape.metadata['max']}")
    if shape.type_name == "list":
        member: Shape = shape.member
        return found + [text for number, item in enumerate(value) for text in _beyond_botocore(member, item, f"{path}[{number}]")]
    if shape.type_name == "map":
        inner: Shape = shape.value
        return found + [text for key, item in value.items() for text in _beyond_botocore(inner, item, f"{path}[{key}]")]
    pattern = shape.metadata.get("pattern", "")
    # Two patterns of the model are malformed: a bound behind the end of the text.
    if pattern and "${" not in pattern and not regex.fullmatch(pattern, str(value)):
        found.append(f"{path} = {value!r} does not match {pattern}")
    if "enum" in shape.metadata and value not in shape.metadata["enum"]:
        found.append(f"{path} = {value!r} is none of {shape.metadata['enum'][:4]}...")
    return found
