"""Does the account hold what the template says? Compares each resource's properties with what its service describes.

An emulator may drop a property without a word, and then a local run proves less than it seems to. The comparison is
generic: a reader a resource type (``embedded_aws/tools/read_back/types.py``) gives the described resource in the template's shape.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError


class Session(Protocol):
    """A ``boto3.Session``, or anything else that makes clients."""

    def client(self, service: str) -> Any: ...


@dataclass(frozen=True)
class Difference:
    """One property that is not what the template says.

    Attributes:
        resource: logical id.
        path: the property, e.g. ``BucketEncryption.ServerSideEncryptionConfiguration[0]``; empty when nothing was read.
        expected: the template's value, intrinsic functions resolved.
        found: what the service describes; None when it is absent.
    """

    resource: str
    type_name: str
    path: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.resource} ({self.type_name}) {self.path}: expected {self.expected!r}, found {self.found!r}"


@dataclass(frozen=True)
class Anything:
    """The value of an intrinsic function that only CloudFormation can resolve: any non-empty value fits.

    ``physical_id`` is that of the resource whose attribute it is, if it is one.
    """

    physical_id: str = ""

    def __repr__(self) -> str:
        return "anything"


ANYTHING = Anything()
NOTHING = object()
"""``AWS::NoValue``."""


def read_back(template: Mapping[str, Any], session: Session, stack: str) -> list[Difference]:
    """Every difference between a deployed stack's template and the account.

    Args:
        template: the parsed template.
        session: may describe every resource of the stack.
        stack: the stack's name.

    A resource that the stack does not have is a difference, and one whose type has no reader; what cannot be read back by nature
    (code, passwords) is listed with its reason in ``read_back_types.UNREADABLE``.
    """
    from embedded_aws.tools.read_back.readers import Clients
    from embedded_aws.tools.read_back.types import READERS, UNREADABLE

    resolver = Resolver(template, session, stack)
    clients = Clients(session)
    differences: list[Difference] = []
    for logical_id, resource in sorted(template["Resources"].items()):
        type_name = resource["Type"]
        if not resolver.is_wanted(resource):
            continue
        physical_id = resolver.physical_ids.get(logical_id)
        if not physical_id:
            differences.append(Difference(logical_id, type_name, "", "a resource of the stack", None))
            continue
        if type_name in UNREADABLE or type_name.startswith("Custom::"):
            continue
        reader = READERS.get(type_name)
        if reader is None:
            differences.append(Difference(logical_id, type_name, "", "a reader for this type", None))
            continue
        expected = {key: value for key, value in resolver.resolve(resource.get("Properties", {})).items() if value is not NOTHING}
        try:
            found = reader(clients, physical_id, expected)
        except ClientError as error:
            differences.append(Difference(logical_id, type_name, "", "a description", str(error)))
            continue
        wanted = {key: value for key, value in expected.items() if f"{type_name}.{key}" not in UNREADABLE}
        differences += [Difference(logical_id, type_name, path, want, have) for path, want, have in compare(wanted, found)]
    return differences


# -- comparison ------------------------------------------------------------------------------------


def compare(expected: Any, found: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """What is expected and not found: ``(path, expected, found)``. More may be found than is expected."""
    if isinstance(expected, Anything):
        return [] if found not in (None, "", [], {}) else [(path, expected, found)]
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return [(path, expected, found)]
        pairs = [(key, value) for key, value in expected.items() if value is not NOTHING]
        return [
            entry for key, value in pairs for entry in compare(value, found.get(key, found.get(str(key))), f"{path}.{key}" if path else key)
        ]
    if isinstance(expected, list):
        return _compare_lists([item for item in expected if item is not NOTHING], found, path)
    return [] if _same(expected, found) else [(path, expected, found)]


def _compare_lists(expected: list[Any], found: Any, path: str) -> list[tuple[str, Any, Any]]:
    """Services reorder lists: an item fits if any described item fits it; else its nearest one is named."""
    if not isinstance(found, list):
        return [(path, expected, found)] if expected else []
    differences: list[tuple[str, Any, Any]] = []
    for index, item in enumerate(expected):
        candidates: list[list[tuple[str, Any, Any]]] = [compare(item, other, f"{path}[{index}]") for other in found]
        if not candidates:
            differences.append((f"{path}[{index}]", item, None))
        else:
            fewest = min(map(len, candidates))
            differences += next(entries for entries in candidates if len(entries) == fewest)
    return differences


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return str(expected).lower() == str(found).lower()
    try:
        return float(expected) == float(found)
    except (TypeError, ValueError):
        return str(expected) == str(found)


# -- intrinsic functions ---------------------------------------------------------------------------


class Resolver:
    """Resolves what can be known outside CloudFormation: references, pseudo parameters, texts and conditions."""

    def __init__(self, template: Mapping[str, Any], session: Session, stack: str) -> None:
        self.template = template
        client = session.client("cloudformation")
        described = client.describe_stacks(StackName=stack)["Stacks"][0]
        self.physical_ids: dict[str, str] = {}
        for page in client.get_paginator("list_stack_resources").paginate(StackName=stack):
            self.physical_ids |= {
                r["LogicalResourceId"]: r["PhysicalResourceId"]
                for r in page["StackResourceSummaries"]
                if r["LogicalResourceId"] in template["Resources"] and r.get("PhysicalResourceId")
            }
        arn = described["StackId"].split(":")
        self.values: dict[str, Any] = {
            "AWS::Region": arn[3],
            "AWS::AccountId": arn[4],
            "AWS::Partition": arn[1],
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": stack,
            "AWS::StackId": described["StackId"],
            "AWS::NoValue": NOTHING,
            **{p["ParameterKey"]: p.get("ResolvedValue", p["ParameterValue"]) for p in described.get("Parameters", [])},
        }
        for name, parameter in template.get("Parameters", {}).items():
            if "List" in parameter["Type"] and isinstance(self.values.get(name), str):
                self.values[name] = self.values[name].split(",")

    def is_wanted(self, resource: Mapping[str, Any]) -> bool:
        """Whether the resource's condition, if it has one, holds."""
        return "Condition" not in resource or self._holds({"Condition": resource["Condition"]})

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NOTHING]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            function = getattr(self, f"_{name.removeprefix('Fn::').lower()}", None)
            if name == "Ref" or name.startswith("Fn::"):
                return function(argument) if function else ANYTHING
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not NOTHING}

    def _ref(self, name: str) -> Any:
        return self.physical_ids.get(name) or self.values.get(name, ANYTHING)

    def _getatt(self, argument: Any) -> Any:
        """Attributes are CloudFormation's own knowledge; which resource is meant is known."""
        logical_id = argument[0] if isinstance(argument, list) else argument.split(".")[0]
        return Anything(self.physical_ids.get(logical_id, ""))

    def _join(self, argument: Any) -> Any:
        separator, parts = argument[0], self.resolve(argument[1])
        if isinstance(parts, Anything) or any(isinstance(part, Anything) for part in parts):
            return ANYTHING
        return separator.join(map(str, parts))

    def _sub(self, argument: Any) -> Any:
        text, extra = (argument, {}) if isinstance(argument, str) else argument
        names = {**self.values, **self.physical_ids, **{key: self.resolve(item) for key, item in extra.items()}}
        if "." in "".join(part.split("}")[0] for part in text.split("${")[1:]) or any(
            isinstance(value, Anything) for value in names.values()
        ):
            return ANYTHING
        for name, value in names.items():
            text = text.replace(f"${{{name}}}", str(value))
        return ANYTHING if "${" in text else text

    def _select(self, argument: Any) -> Any:
        index, items = int(argument[0]), self.resolve(argument[1])
        return items[index] if isinstance(items, list) and index < len(items) else ANYTHING

    def _split(self, argument: Any) -> Any:
        text = self.resolve(argument[1])
        return text.split(argument[0]) if isinstance(text, str) else ANYTHING

    def _if(self, argument: Any) -> Any:
        return self.resolve(argument[1] if self._holds({"Condition": argument[0]}) else argument[2])

    def _holds(self, condition: Any) -> bool:
        (name, argument), *_ = condition.items()
        if name == "Condition":
            return self._holds(self.template["Conditions"][argument])
        if name == "Fn::Equals":
            left, right = (self.resolve(side) for side in argument)
            return str(left) == str(right)
        outcomes = [self._holds(part) for part in argument]
        return {"Fn::Not": lambda: not outcomes[0], "Fn::And": lambda: all(outcomes), "Fn::Or": lambda: any(outcomes)}[name]()


def named(value: Any) -> str:
    """The name that identifies a resource in a service's request, from ``Ref`` or from an attribute of it."""
    return value.physical_id if isinstance(value, Anything) else str(value)


def parsed(document: Any) -> Any:
    """A policy document or other JSON, whether it came as text or parsed."""
    return json.loads(document) if isinstance(document, str) else document
