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
NOT_CALLED_FOR: dict[str, dict[str, str]] = {
    "AWS::ApiGatewayV2::": {
        **dict.fromkeys(("apigateway:PUT", "s3:getObject"), "APIs of an OpenAPI document only"),
        **dict.fromkeys(("apigateway:POST", "apigateway:DELETE"), "updates that turn one API into another"),
    },
    "AWS::CloudFront::Distribution": {
        "cloudfront:CreateDistributionWithTags": "no action of its own in IAM: CreateDistribution and TagResource",
        "cloudfront:UpdateDistributionWithStagingConfig": "continuous deployment only",
        "cloudfront:ListTagsForResource": "reads only",
        **dict.fromkeys(("cloudfront:CreateConnectionGroup", "cloudfront:GetConnectionGroup"), "tenants' distributions only"),
        "cloudfront:GetVpcOrigin": "origins in a VPC only",
    },
    "AWS::Cognito::UserPoolDomain": {
        "cloudfront:updateDistribution": "custom domains only",
        **dict.fromkeys((f"kms:{verb}" for verb in ("CreateGrant", "Decrypt", "DescribeKey", "Encrypt")), "pools with a customer key only"),
        **dict.fromkeys(
            (f"kms:{verb}" for verb in ("GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo")),
            "pools with a customer key only",
        ),
    },
}
"""By the start of a type's name."""
EVERYTHING: dict[str, Any] = {
    "ExecutionRoleArn": ROLE,
    "RoleARN": ROLE,
    "CredentialsArn": ROLE,
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
    not_called = NOT_CALLED.keys() | {action for start, why in NOT_CALLED_FOR.items() if type_name.startswith(start) for action in why}
    assert theirs - ours <= not_called


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


def test_what_serves_the_public_is_checked_on_its_own_arn() -> None:
    def asked(type_name: str, verb: Any, name: str, **sides: Any) -> list[tuple[str, str]]:
        return [(check.action, check.resource) for check in needed(type_name, Change(verb, name, REGION, ACCOUNT, **sides))]

    api = {"ApiId": "a1b2"}
    assert asked("AWS::ApiGatewayV2::Route", "create", "generated", new=api) == [
        ("apigateway:POST", "arn:aws:apigateway:us-east-1::/apis/a1b2/routes")
    ]
    assert asked("AWS::ApiGatewayV2::Route", "delete", "a1b2/r1", old=api)[-1] == (
        "apigateway:DELETE",
        "arn:aws:apigateway:us-east-1::/apis/a1b2/routes/r1",
    )
    assert asked("AWS::CloudFront::Distribution", "delete", "E1", old={})[0] == (
        "cloudfront:DeleteDistribution",
        f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1",
    )
    domain = {"UserPoolId": "us-east-1_x", "Domain": "people"}
    assert asked("AWS::Cognito::UserPoolDomain", "create", "generated", new=domain)[0] == (
        "cognito-idp:CreateUserPoolDomain",
        f"arn:aws:cognito-idp:us-east-1:{ACCOUNT}:userpool/us-east-1_x",
    )
