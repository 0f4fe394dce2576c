"""What a role may do with the services of a public site: calls are decided by the role's policy, on the resource that they name."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.web import Site

Act = Callable[..., Any]
READS = ("AdminGetUser", "AdminListGroupsForUser", "ListUsersInGroup")


@pytest.fixture
def acting(aws: Any, make_role: Any, assume: Any) -> Act:
    """``acting(service, actions, resource)``: a client of a role that may do exactly that."""

    def act(service: str, actions: list[str], resource: str) -> Any:
        statements = [{"Effect": "Allow", "Action": actions, "Resource": resource}] if actions else []
        role = make_role(f"web-{secrets.token_hex(4)}", statements, services=["lambda.amazonaws.com"])
        return aws(service, assume(role))

    return act


def read(client: Any, operation: str, pool: str) -> Any:
    if operation == "ListUsersInGroup":
        return client.list_users_in_group(UserPoolId=pool, GroupName="readers")
    snake = {"AdminGetUser": "admin_get_user", "AdminListGroupsForUser": "admin_list_groups_for_user"}[operation]
    return getattr(client, snake)(UserPoolId=pool, Username="reader")


@pytest.mark.parametrize("operation", READS)
def test_reading_users_is_decided_by_the_role_and_the_pool(site: Site, aws: Any, acting: Act, operation: str) -> None:
    cognito, pool = aws("cognito-idp"), aws("cognito-idp").create_user_pool(PoolName=f"read-{operation}")["UserPool"]["Id"]
    cognito.admin_create_user(UserPoolId=pool, Username="reader", MessageAction="SUPPRESS")
    cognito.create_group(UserPoolId=pool, GroupName="readers")
    arn = f"arn:aws:cognito-idp:us-east-1:000000000000:userpool/{pool}"

    allowed = acting("cognito-idp", [f"cognito-idp:{operation}"], arn)
    assert read(allowed, operation, pool)["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError, match=f"not authorized to perform: cognito-idp:{operation} on resource: .*{site.outputs['Pool']}"):
        read(allowed, operation, site.outputs["Pool"])
    others = [f"cognito-idp:{other}" for other in READS if other != operation]
    with pytest.raises(ClientError, match=f"not authorized to perform: cognito-idp:{operation}"):
        read(acting("cognito-idp", others, arn), operation, pool)


@dataclass(frozen=True)
class Asked:
    """A call, and the least that allows it."""

    service: str
    action: str
    resource: str
    call: Callable[[Any, dict[str, str]], Any]


CALLS = {
    "a distribution": Asked(
        "cloudfront",
        "cloudfront:GetDistribution",
        "arn:aws:cloudfront::000000000000:distribution/{Distribution}",
        lambda client, outputs: client.get_distribution(Id=outputs["Distribution"]),
    ),
    "an API": Asked(
        "apigatewayv2",
        "apigateway:GET",
        "arn:aws:apigateway:us-east-1::/apis/{Api}",
        lambda client, outputs: client.get_api(ApiId=outputs["Api"]),
    ),
    "a stage": Asked(
        "apigatewayv2",
        "apigateway:PATCH",
        "arn:aws:apigateway:us-east-1::/apis/{Api}/stages/$default",
        lambda client, outputs: client.update_stage(ApiId=outputs["Api"], StageName="$default", Description="x"),
    ),
    "a user pool's domain": Asked(
        "cognito-idp",
        "cognito-idp:DescribeUserPoolDomain",
        "*",
        lambda client, _: client.describe_user_pool_domain(Domain="public-site"),
    ),
}


@pytest.mark.parametrize("asked", CALLS.values(), ids=CALLS)
def test_other_calls_are_decided_by_the_role_too(site: Site, acting: Act, asked: Asked) -> None:
    arn, refused = asked.resource.format(**site.outputs), "AccessDenied|[Nn]ot authorized"

    assert asked.call(acting(asked.service, [asked.action], arn), site.outputs)["ResponseMetadata"]["HTTPStatusCode"] == 200
    with pytest.raises(ClientError, match=refused):
        asked.call(acting(asked.service, [], ""), site.outputs)
    if asked.resource != "*":
        with pytest.raises(ClientError, match=refused):
            asked.call(acting(asked.service, [asked.action], f"{arn}-other"), site.outputs)
