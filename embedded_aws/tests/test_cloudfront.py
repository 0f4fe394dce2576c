"""A distribution that serves: files of a private bucket, an API below a path, headers, methods, and its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from embedded_aws.testing.web import Reply, Site, deploy
from embedded_aws.testing.web_template import template
from embedded_aws.tools import launcher
from embedded_aws.tools.clients import Clients
from embedded_aws.tools.read_back.comparison import read_back


@pytest.fixture
def ask(site: Site) -> Callable[..., Reply]:
    return lambda path="/", **more: site.ask(site.outputs["Domain"], path, **more)


def test_the_root_is_the_start_page_of_a_private_bucket(ask: Callable[..., Reply]) -> None:
    reply = ask()

    assert (reply.status, reply.body, reply.header("content-type")) == (200, b"<!doctype html><p>start page", "text/html")
    head = ask(method="HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", "28")
    assert ask("/absent.html").status == 403


def test_every_answer_has_the_policys_headers(ask: Callable[..., Reply]) -> None:
    for path in ("/", "/absent.html", "/api/x"):
        reply = ask(path)
        assert reply.header("content-security-policy").startswith("default-src 'self'; form-action 'self' http://public-site.auth.")
        assert reply.header("strict-transport-security") == "max-age=31536000"
        assert (reply.header("x-frame-options"), reply.header("x-content-type-options")) == ("DENY", "nosniff")
        assert reply.header("permissions-policy") == "camera=()"


def test_the_api_gets_what_the_viewer_sends_but_the_host(ask: Callable[..., Reply], site: Site) -> None:
    reply = ask(
        "/api/x?a=1&a=2", method="POST", body=b"text", Content_Type="text/plain", Cookie="one=1; two=2", X_Own="y", User_Agent="me/1"
    )

    event = reply.json()
    headers = event["headers"]
    assert (event["rawPath"], event["rawQueryString"], event["body"], event["cookies"]) == ("/api/x", "a=1&a=2", "text", ["one=1", "two=2"])
    assert headers["host"] == site.outputs["ApiEndpoint"].removeprefix("https://")
    assert (headers["x-own"], headers["user-agent"], headers["x-origin-verify"]) == ("y", "me/1", "from-the-distribution")
    assert len(reply.headers["set-cookie"]) == 2


def test_a_viewer_cannot_set_the_origins_own_header(ask: Callable[..., Reply]) -> None:
    assert ask("/api/x", X_Origin_Verify="forged").json()["headers"]["x-origin-verify"] == "from-the-distribution"


def test_a_behaviour_takes_its_methods_only(ask: Callable[..., Reply]) -> None:
    assert ask("/api/x", method="DELETE").status == 200
    assert ask("/", method="POST", body=b"x").status == 403


def test_an_api_answers_no_foreign_host(ask: Callable[..., Reply], site: Site, aws: Any) -> None:
    """The policy AllViewer forwards the viewer's ``Host``, which API Gateway does not know."""
    cloudfront = aws("cloudfront")
    found = cloudfront.get_distribution_config(Id=site.outputs["Distribution"])
    config = found["DistributionConfig"]
    behaviour = config["CacheBehaviors"]["Items"][0]
    kept = behaviour["OriginRequestPolicyId"]
    behaviour["OriginRequestPolicyId"] = "216adef6-5c7f-47e4-b989-5492eafa07d3"
    changed = cloudfront.update_distribution(Id=site.outputs["Distribution"], IfMatch=found["ETag"], DistributionConfig=config)
    refused = ask("/api/x")
    behaviour["OriginRequestPolicyId"] = kept
    cloudfront.update_distribution(Id=site.outputs["Distribution"], IfMatch=changed["ETag"], DistributionConfig=config)

    assert (refused.status, refused.json()) == (403, {"message": "Forbidden"})
    assert ask("/api/x").status == 200


def test_a_bucket_whose_policy_names_another_distribution_is_not_read(ask: Callable[..., Reply], site: Site, aws: Any) -> None:
    s3, bucket = aws("s3"), site.outputs["Bucket"]
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.put_bucket_policy(Bucket=bucket, Policy=policy.replace(site.outputs["Distribution"], "EOTHER"))
    refused = ask()
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)

    assert (refused.status, b"AccessDenied" in refused.body) == (403, True)
    assert ask().status == 200


def test_a_deleted_stack_serves_nothing_any_more(emulator: launcher.Emulator, aws: Any, wait_until: Callable[..., Any]) -> None:
    site = deploy(emulator, "short-lived")
    bucket, cloudformation = site.outputs["Bucket"], aws("cloudformation")
    aws("s3").delete_object(Bucket=bucket, Key="index.html")
    identity = cloudformation.describe_stacks(StackName="short-lived")["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName="short-lived")
    wait_until(lambda: cloudformation.describe_stacks(StackName=identity)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE")

    hosts = [site.outputs["Domain"], site.outputs["SignIn"], site.outputs["ApiEndpoint"].removeprefix("https://")]
    assert [site.ask(host).status for host in hosts] == [404, 404, 404]
    assert json.loads(site.ask(hosts[0]).body) == {"message": f"This account has no {hosts[0]}."}


def test_the_account_holds_what_the_template_says(site: Site) -> None:
    clients = Clients(site.emulator.url, site.emulator.region)

    class Session:
        def client(self, service: str) -> Any:
            return clients(service)

    assert [str(difference) for difference in read_back(template("public-site"), Session(), "public-site")] == []


def test_a_stack_role_without_the_actions_fails_by_name(emulator: launcher.Emulator, make_role: Any) -> None:
    """And a role with every action, such as that of the CDK's bootstrap, deploys the same template."""
    services = ("cloudformation.amazonaws.com",)
    every = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    narrow = make_role("web-stack-narrow", [every, {**every, "Effect": "Deny", "Action": "cloudfront:CreateDistribution"}], services)

    deployed = deploy(emulator, "web-role", RoleARN=make_role("web-stack-all", [every], services))
    assert deployed.ask(deployed.outputs["Domain"]).status == 200
    with pytest.raises(AssertionError, match="not authorized to perform: cloudfront:CreateDistribution"):
        deploy(emulator, "web-narrow", RoleARN=narrow)
