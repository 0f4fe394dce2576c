"""Conditions of templates: every function that may stand in one has CloudFormation's value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.fixtures import REGION, ClientFactory

PARAMETERS = {
    "Nothing": {"Type": "CommaDelimitedList", "Default": ""},
    "Names": {"Type": "CommaDelimitedList", "Default": "ada, grace"},
    "Stage": {"Type": "String", "Default": "dev"},
    "Count": {"Type": "Number", "Default": "3"},
}
MAPPINGS = {"Sizes": {"dev": {"instance": "small"}, "prod": {"instance": "large"}}}
CONDITIONS: dict[str, tuple[Any, bool]] = {
    "JoinOfNothing": ({"Fn::Equals": ["", {"Fn::Join": ["", {"Ref": "Nothing"}]}]}, True),
    "JoinOfSome": ({"Fn::Not": [{"Fn::Equals": ["", {"Fn::Join": ["", {"Ref": "Names"}]}]}]}, True),
    "JoinOfParts": ({"Fn::Equals": ["dev-x", {"Fn::Join": ["-", [{"Ref": "Stage"}, "x"]]}]}, True),
    "Sub": ({"Fn::Equals": [{"Fn::Sub": "${Stage}-${AWS::Region}"}, f"dev-{REGION}"]}, True),
    "SubWithValues": ({"Fn::Equals": [{"Fn::Sub": ["${A}!", {"A": {"Ref": "Stage"}}]}, "dev!"]}, True),
    "FindInMap": ({"Fn::Equals": [{"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "instance"]}, "small"]}, True),
    "Select": ({"Fn::Equals": [{"Fn::Select": [1, {"Ref": "Names"}]}, "grace"]}, True),
    "SelectOfSplit": ({"Fn::Equals": [{"Fn::Select": ["0", {"Fn::Split": ["e", {"Ref": "Stage"}]}]}, "d"]}, True),
    "Region": ({"Fn::Equals": [{"Ref": "AWS::Region"}, REGION]}, True),
    "OtherRegion": ({"Fn::Equals": [{"Ref": "AWS::Region"}, "cn-north-1"]}, False),
    "Partition": ({"Fn::Equals": [{"Ref": "AWS::Partition"}, "aws"]}, True),
    "Account": ({"Fn::Equals": [{"Ref": "AWS::AccountId"}, "000000000000"]}, True),
    "Number": ({"Fn::Equals": [{"Ref": "Count"}, 3]}, True),
    "Truth": ({"Fn::Equals": [True, "true"]}, True),
    "Both": ({"Fn::And": [{"Condition": "JoinOfSome"}, {"Fn::Equals": [{"Fn::Sub": "${Stage}"}, "dev"]}]}, True),
    "Either": ({"Fn::Or": [{"Condition": "OtherRegion"}, {"Fn::Equals": [{"Fn::Join": ["", ["a", "b"]]}, "ab"]}]}, True),
    "Neither": ({"Fn::Not": [{"Condition": "Either"}]}, False),
}


def template(conditions: dict[str, Any]) -> str:
    """A template with one output a condition, ``yes`` or ``no``."""
    outputs = {name: {"Value": {"Fn::If": [name, "yes", "no"]}} for name in conditions}
    handle = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    parts = {"Parameters": PARAMETERS, "Mappings": MAPPINGS, "Conditions": conditions, "Resources": {"Handle": handle}, "Outputs": outputs}
    return json.dumps(parts)


def test_every_function_in_a_condition_has_its_value(aws: ClientFactory) -> None:
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(StackName="every-condition", TemplateBody=template({name: part for name, (part, _) in CONDITIONS.items()}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="every-condition", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    outputs = cloudformation.describe_stacks(StackName="every-condition")["Stacks"][0]["Outputs"]
    found = {output["OutputKey"]: output["OutputValue"] == "yes" for output in outputs}
    assert found == {name: expected for name, (_, expected) in CONDITIONS.items()}


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        ({"A": {"Fn::Equals": [{"Ref": "Handle"}, "x"]}}, "Cannot reference resources in the Conditions block"),
        ({"A": {"Fn::Equals": [{"Ref": "Names"}, "x"]}}, "requires a list of 2 string parameters"),
        ({"A": {"Fn::Not": [{"Condition": "B"}]}}, "Unresolved condition dependency B"),
        (
            {"A": {"Fn::Not": [{"Condition": "B"}]}, "B": {"Fn::Not": [{"Condition": "A"}]}},
            r"Circular dependency between conditions \[A, B\]",
        ),
        ({"A": {"Fn::Equals": [{"Ref": "AWS::StackName"}, "x"]}}, "does not support AWS::StackName"),
    ],
)
def test_what_no_condition_may_hold_is_refused_by_name(aws: ClientFactory, conditions: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said) as refused:
        aws("cloudformation").create_stack(StackName="refused-conditions", TemplateBody=template(conditions))
    assert refused.value.response["Error"]["Code"] == "ValidationError"
