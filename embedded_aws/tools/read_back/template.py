"""A template's values as far as they are known outside CloudFormation, and in the form that services take and give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Session(Protocol):
    """A ``boto3.Session``, or anything else that makes clients."""

    def client(self, service: str) -> Any: ...


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
