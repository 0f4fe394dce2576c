"""An HTTP API under its public name: the event that its function gets, what the caller gets, and who may invoke."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from embedded_aws.testing.web import Reply, Site


@pytest.fixture
def ask(site: Site) -> Callable[..., Reply]:
    host = site.outputs["ApiEndpoint"].removeprefix("https://")
    return lambda path, **more: site.ask(host, path, **more)


def test_the_endpoint_is_the_public_one(site: Site, aws: Any) -> None:
    api = site.outputs["Api"]

    assert site.outputs["ApiEndpoint"] == f"https://{api}.execute-api.us-east-1.amazonaws.com"
    assert aws("apigatewayv2").get_api(ApiId=api)["ApiEndpoint"] == site.outputs["ApiEndpoint"]
    made = aws("apigatewayv2").create_api(Name="by-hand", ProtocolType="HTTP")
    assert made["ApiEndpoint"] == f"https://{made['ApiId']}.execute-api.us-east-1.amazonaws.com"


def test_the_event_has_payload_format_2(ask: Callable[..., Reply], site: Site) -> None:
    event = ask(
        "/a%2Fb/c?x=1&x=2&y", method="PUT", body=b'{"a": 1}', Content_Type="application/json", X_Mixed="V", Cookie="a=1; b=2"
    ).json()

    context = event["requestContext"]
    assert (event["version"], event["routeKey"], event["rawPath"], event["rawQueryString"]) == ("2.0", "$default", "/a/b/c", "x=1&x=2&y")
    assert (event["body"], event["isBase64Encoded"], event["cookies"]) == ('{"a": 1}', False, ["a=1", "b=2"])
    assert (event["headers"]["x-mixed"], "cookie" in event["headers"]) == ("V", False)
    assert context["domainName"] == event["headers"]["host"] == site.outputs["ApiEndpoint"].removeprefix("https://")
    assert (context["http"]["method"], context["http"]["path"], context["http"]["sourceIp"]) == ("PUT", "/a/b/c", "127.0.0.1")
    assert "pathParameters" not in event, "AWS leaves out what there is not"


def test_a_body_that_is_no_text_comes_in_base64(ask: Callable[..., Reply]) -> None:
    event = ask("/x", method="POST", body=b"a=1&b=2", Content_Type="application/x-www-form-urlencoded").json()

    assert (base64.b64decode(event["body"]), event["isBase64Encoded"]) == (b"a=1&b=2", True)
    assert "body" not in ask("/x").json()


def test_each_cookie_of_an_answer_is_a_header_of_its_own(ask: Callable[..., Reply]) -> None:
    assert ask("/x").headers["set-cookie"] == ["__Host-one=1; Path=/; Secure; HttpOnly; SameSite=Lax", "two=2; Path=/"]


def test_a_failing_function_tells_the_caller_nothing(ask: Callable[..., Reply]) -> None:
    reply = ask("/api/fails")

    assert (reply.status, reply.json()) == (500, {"message": "Internal Server Error"})


def test_more_than_ten_megabytes_are_refused(ask: Callable[..., Reply]) -> None:
    most = 10 * 1024 * 1024
    head = {"method": "POST", "Content_Type": "text/plain"}

    assert ask("/api/leaves?to=/", body=b"x" * (most // 2), **head).status == 303
    assert ask("/x", body=b"x" * (most + 1), **head).status == 413


def test_throttling_is_kept(site: Site, aws: Any) -> None:
    stage = aws("apigatewayv2").get_stage(ApiId=site.outputs["Api"], StageName="$default")

    assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 20, "ThrottlingRateLimit": 10.0}


@pytest.mark.parametrize(("source", "status"), [(None, 500), ("other/*/*", 500), ("{api}/*/*/pets", 500), ("{api}/*/$default", 200)])
def test_the_functions_policy_names_who_may_invoke_it(site: Site, aws: Any, source: str | None, status: int) -> None:
    gateway, functions, name = aws("apigatewayv2"), aws("lambda"), site.outputs["Function"]
    arn = functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    api = gateway.create_api(Name="another", ProtocolType="HTTP", Target=arn)["ApiId"]
    integration = gateway.create_integration(ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0")
    gateway.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration['IntegrationId']}")
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    if source:
        resource = f"arn:aws:execute-api:us-east-1:000000000000:{source.format(api=api)}"
        permitted = {"Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com", "SourceArn": resource}
        functions.add_permission(FunctionName=name, StatementId=f"for-{api}", **permitted)

    assert site.ask(f"{api}.execute-api.us-east-1.amazonaws.com", "/x").status == status
    gateway.delete_api(ApiId=api)
    assert site.ask(f"{api}.execute-api.us-east-1.amazonaws.com", "/x").status == 404
