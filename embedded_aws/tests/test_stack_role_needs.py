"""What CloudFormation needs of a stack's role, held against the registry's schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cfnlint
import pytest

from embedded_aws.cloudformation.stack_role_needs import COVERED, Change, needed

REGION, ACCOUNT = "us-east-1", "000000000000"
REGISTRY = Path(cfnlint.__file__).parent / "data" / "schemas"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/passed"

BY_VALIDATION = {
    "sagemaker:DescribeEndpoint",
    "sagemaker:DescribeEndpointConfig",
    "sagemaker:UpdateEndpointWeightsAndCapacities",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:DeleteAlarms",
}
"""Application Auto Scaling tries these with its caller's permissions; the registry does not list them all."""
NOT_CALLED = {
    "cloudwatch:GetMetricData": "forecasts of predictive policies only",
    "cloudwatch:ListTagsForResource": "reads only",
    "application-autoscaling:ListTagsForResource": "reads only",
    "application-autoscaling:DescribeScheduledActions": "reads only",
    **dict.fromkeys(
        (f"lambda:{verb}ProvisionedConcurrencyConfig" for verb in ("Get", "Put", "Delete")), "targets of the Lambda namespace only"
    ),
    **dict.fromkeys(("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms"), "asked for with the policy"),
}
EVERYTHING: dict[str, Any] = {
    "ExecutionRoleArn": ROLE,
    "RoleARN": ROLE,
    "KmsKeyId": "key",
    "EndpointConfigName": "config",
    "ResourceId": "endpoint/e/variant/v",
    "ScheduledActions": [{"ScheduledActionName": "night", "Schedule": "cron(0 0 * * ? *)"}],
    "Tags": [{"Key": "team", "Value": "platform"}],
}
OTHERWISE = {
    **EVERYTHING,
    "EndpointConfigName": "other",
    "ScheduledActions": [{"ScheduledActionName": "day", "Schedule": "cron(0 6 * * ? *)"}],
    "Tags": [{"Key": "owner", "Value": "me"}],
}


def change(verb: Any, **more: Any) -> Change:
    return Change(verb, "Thing", REGION, ACCOUNT, **more)


def actions(type_name: str, verb: str) -> set[str]:
    sides = {"create": {"new": EVERYTHING}, "update": {"old": EVERYTHING, "new": OTHERWISE}, "delete": {"old": EVERYTHING}}
    return {check.action for check in needed(type_name, change(verb, **sides[verb]))}


def published(type_name: str, verb: str) -> set[str]:
    index = json.loads((REGISTRY / "providers" / "us-east-1.json").read_text())
    schema = json.loads((REGISTRY / "resources" / f"{index[type_name]}.json").read_text())
    return set(schema["handlers"].get(verb, {}).get("permissions", []))


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
@pytest.mark.parametrize("type_name", COVERED)
def test_the_actions_are_those_of_the_registry(type_name: str, verb: str) -> None:
    ours, theirs = actions(type_name, verb), published(type_name, verb)
    extra = BY_VALIDATION if type_name.startswith("AWS::ApplicationAutoScaling") else set()
    assert ours - theirs <= extra
    assert theirs - ours <= NOT_CALLED.keys()


def test_nothing_is_asked_that_the_properties_do_not_need() -> None:
    assert needed("AWS::SageMaker::EndpointConfig", change("create", new={"ProductionVariants": []})) == needed(
        "AWS::SageMaker::EndpointConfig", change("create", new={"Tags": [{"Key": "aws:cloudformation:stack-name", "Value": "s"}]})
    )
    assert [c.action for c in needed("AWS::SageMaker::EndpointConfig", change("create", new={}))] == ["sagemaker:CreateEndpointConfig"]
    same = {"EndpointConfigName": "c", "Tags": [{"Key": "a", "Value": "1"}]}
    retagged = {"EndpointConfigName": "c", "Tags": [{"Key": "a", "Value": "2"}]}
    assert [c.action for c in needed("AWS::SageMaker::Endpoint", change("update", old=same, new=retagged))] == ["sagemaker:AddTags"]
    assert needed("AWS::Lambda::Function", change("create", new={"Role": ROLE})) == []


@pytest.mark.parametrize("kind", ["Model", "EndpointConfig", "Endpoint"])
def test_tags_that_come_with_a_creation_say_so(kind: str) -> None:
    """So a role can be kept from tagging what it did not create."""
    tags = {"Tags": [{"Key": "application", "Value": "shop"}]}

    def tagging(verb: Any, **sides: Any) -> list[Any]:
        checks = needed(f"AWS::SageMaker::{kind}", change(verb, **sides))
        return [check.context.get("sagemaker:TaggingAction") for check in checks if check.action == "sagemaker:AddTags"]

    assert tagging("create", new=tags) == [f"Create{kind}"]
    assert tagging("update", old={}, new=tags) == [None]


def test_resources_are_the_arns_of_the_service_authorization_reference() -> None:
    checks = needed("AWS::SageMaker::Endpoint", change("create", new={"EndpointConfigName": "Config-A"}))
    assert [c.resource.rsplit(":", 1)[-1] for c in checks] == ["endpoint/thing", "endpoint-config/config-a", "endpoint/thing"]
    passed = [c for c in needed("AWS::SageMaker::Model", change("create", new=EVERYTHING)) if c.action == "iam:PassRole"]
    assert [(c.resource, c.context) for c in passed] == [(ROLE, {"iam:PassedToService": "sagemaker.amazonaws.com"})]
