"""A protected user pool is deleted neither by DeleteUserPool nor with its stack."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from embedded_aws.testing.fixtures import ClientFactory


def test_a_protected_user_pool_is_deleted_after_its_protection_is_off(aws: ClientFactory) -> None:
    cognito = aws("cognito-idp")
    pool = cognito.create_user_pool(PoolName=f"kept-{uuid.uuid4().hex[:8]}", DeletionProtection="ACTIVE")["UserPool"]["Id"]
    with pytest.raises(cognito.exceptions.InvalidParameterException, match="deletion protection is activated"):
        cognito.delete_user_pool(UserPoolId=pool)
    assert cognito.describe_user_pool(UserPoolId=pool)["UserPool"]["DeletionProtection"] == "ACTIVE"
    cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE")
    cognito.delete_user_pool(UserPoolId=pool)
    with pytest.raises(cognito.exceptions.ResourceNotFoundException):
        cognito.describe_user_pool(UserPoolId=pool)


@pytest.mark.parametrize(
    ("resource", "off"),
    [
        ({"Type": "AWS::Cognito::UserPool", "Properties": {"DeletionProtection": "ACTIVE"}}, {"DeletionProtection": "INACTIVE"}),
        (
            {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "DeletionProtectionEnabled": True,
                    "BillingMode": "PAY_PER_REQUEST",
                    "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                },
            },
            {"DeletionProtectionEnabled": False},
        ),
    ],
    ids=["pool", "table"],
)
def test_a_stack_with_a_protected_resource_is_not_deleted(
    aws: ClientFactory, wait_until: Callable[..., Any], resource: dict[str, Any], off: dict[str, Any]
) -> None:
    cloudformation, name = aws("cloudformation"), f"kept-{uuid.uuid4().hex[:8]}"

    def status() -> str:
        return str(cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])

    stack = cloudformation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Kept": resource}}))["StackId"]
    wait_until(lambda: status() == "CREATE_COMPLETE")
    cloudformation.delete_stack(StackName=name)
    wait_until(lambda: status() == "DELETE_FAILED")
    reasons = [event.get("ResourceStatusReason", "") for event in cloudformation.describe_stack_events(StackName=stack)["StackEvents"]]
    assert any("deletion protection" in reason for reason in reasons)

    physical = cloudformation.describe_stack_resources(StackName=stack)["StackResources"][0]["PhysicalResourceId"]
    if "DeletionProtection" in off:
        aws("cognito-idp").update_user_pool(UserPoolId=physical, **off)
    else:
        aws("dynamodb").update_table(TableName=physical, **off)
    cloudformation.delete_stack(StackName=name)
    wait_until(lambda: status() == "DELETE_COMPLETE")
