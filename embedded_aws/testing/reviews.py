"""A private workforce with people, a bucket, a role and a worker template, made through the public APIs only."""

from __future__ import annotations

import http.cookiejar
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import pytest
from botocore.exceptions import ClientError

from embedded_aws.tools import launcher
from embedded_aws.tools.clients import Clients

REGION = "us-east-1"
PASSWORD = "Correct-horse-7"
PEOPLE_TIME_SCALE = 0.02
"""Time scale of the fixture ``review``: an hour of a person's time is 72 s."""
LABELS = ["negative", "neutral", "positive"]
TEMPLATE = (launcher.ROOT / "stacks" / "constructs" / "worker_template.liquid").read_text()
"""The template that the review stack deploys."""


def wait_for(probe: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first truthy value of ``probe()``."""
    deadline = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


@dataclass
class Review:
    """Everything that a human review needs, in one emulator."""

    emulator: launcher.Emulator
    bucket: str = "review-answers"
    group: str = "reviewers"

    @cached_property
    def client(self) -> Clients:
        """``review.client("sagemaker")``: boto3 clients of root."""
        return Clients(self.emulator.url, REGION)

    def set_up(self) -> Review:
        """Pool, domain, client, group, workforce, team, bucket, event queue, template and role."""
        cognito, sagemaker = self.client("cognito-idp"), self.client("sagemaker")
        self.pool: str = cognito.create_user_pool(PoolName="reviewers")["UserPool"]["Id"]
        cognito.create_user_pool_domain(UserPoolId=self.pool, Domain="reviewers-000000000000")
        self.pool_client: str = cognito.create_user_pool_client(
            UserPoolId=self.pool, ClientName="portal", GenerateSecret=True, ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
        )["UserPoolClient"]["ClientId"]
        cognito.create_group(UserPoolId=self.pool, GroupName=self.group)
        sagemaker.create_workforce(WorkforceName="reviewers", CognitoConfig={"UserPool": self.pool, "ClientId": self.pool_client})
        self.workteam: str = sagemaker.create_workteam(
            WorkteamName="reviewers", WorkforceName="reviewers", Description="reviews", MemberDefinitions=[self.member(self.group)]
        )["WorkteamArn"]
        self.client("s3").create_bucket(Bucket=self.bucket)
        self.template: str = sagemaker.create_human_task_ui(HumanTaskUiName="choose-a-label", UiTemplate={"Content": TEMPLATE})[
            "HumanTaskUiArn"
        ]
        self.role = self.make_role(
            "review-role", [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{self.bucket}/*"}]
        )
        self._catch_events()
        return self

    def member(self, group: str) -> dict[str, Any]:
        return {"CognitoMemberDefinition": {"UserPool": self.pool, "UserGroup": group, "ClientId": self.pool_client}}

    def make_role(self, name: str, statements: Sequence[dict[str, Any]], service: str = "sagemaker.amazonaws.com") -> str:
        iam = self.client("iam")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="grants", PolicyDocument=json.dumps(document))
        return arn

    def _catch_events(self) -> None:
        sqs, events = self.client("sqs"), self.client("events")
        self.queue: str = sqs.create_queue(QueueName="sagemaker-events")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="sagemaker", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
        events.put_targets(Rule="sagemaker", Targets=[{"Id": "queue", "Arn": arn}])
        self.seen: list[dict[str, Any]] = []

    def events_of(self, arn: str, count: int = 1) -> list[dict[str, Any]]:
        """The first ``count`` events about a resource, in the order of their arrival."""

        def arrived() -> list[dict[str, Any]]:
            while messages := self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
                for message in messages:
                    self.seen.append(json.loads(message["Body"]))
                    self.client("sqs").delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
            found = [event for event in self.seen if arn in event["resources"]]
            return found if len(found) >= count else []

        found: list[dict[str, Any]] = wait_for(arrived, f"event {count} of {arn}")
        return found

    def add_worker(self, username: str, *, group: str | None = None) -> str:
        """A confirmed user of the pool, in a group; returns the user's ``sub``."""
        cognito = self.client("cognito-idp")
        user = cognito.admin_create_user(UserPoolId=self.pool, Username=username, MessageAction="SUPPRESS")["User"]
        cognito.admin_set_user_password(UserPoolId=self.pool, Username=username, Password=PASSWORD, Permanent=True)
        cognito.admin_add_user_to_group(UserPoolId=self.pool, Username=username, GroupName=group or self.group)
        return next(str(item["Value"]) for item in user["Attributes"] if item["Name"] == "sub")

    def flow_request(self, name: str, count: int = 1, **config: Any) -> dict[str, Any]:
        return {
            "FlowDefinitionName": name,
            "RoleArn": self.role,
            "OutputConfig": {"S3OutputPath": f"s3://{self.bucket}/a2i"},
            "HumanLoopConfig": {
                "WorkteamArn": self.workteam,
                "HumanTaskUiArn": self.template,
                "TaskTitle": "Judge a text",
                "TaskDescription": "Choose the label that fits.",
                "TaskCount": count,
                **config,
            },
        }

    def flow(self, name: str, count: int = 1, **config: Any) -> str:
        """The ARN of a new, active flow definition."""
        arn: str = self.client("sagemaker").create_flow_definition(**self.flow_request(name, count, **config))["FlowDefinitionArn"]
        wait_for(lambda: self.flow_status(name) == "Active", f"flow {name} Active")
        return arn

    def flow_status(self, name: str) -> str:
        return str(self.client("sagemaker").describe_flow_definition(FlowDefinitionName=name)["FlowDefinitionStatus"])

    def ask(self, flow_arn: str, name: str, text: str, labels: Sequence[str] = LABELS) -> str:
        """Start a human loop about a text; returns its ARN."""
        content = json.dumps({"text": text, "labels": list(labels), "predictionId": name, "attempt": 1})
        response = self.client("sagemaker-a2i-runtime").start_human_loop(
            HumanLoopName=name, FlowDefinitionArn=flow_arn, HumanLoopInput={"InputContent": content}
        )
        return str(response["HumanLoopArn"])

    def loop(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self.client("sagemaker-a2i-runtime").describe_human_loop(HumanLoopName=name)
        return described

    def ended(self, name: str) -> dict[str, Any]:
        """The loop's description once it is over."""
        final = ("Completed", "Failed", "Stopped")
        found: dict[str, Any] = wait_for(lambda: self.loop(name) if self.loop(name)["HumanLoopStatus"] in final else None, f"end of {name}")
        return found

    def read(self, uri: str) -> str:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body.decode()

    def output(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.read(self.loop(name)["HumanLoopOutput"]["OutputS3Uri"]))
        return document

    def admin(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call an admin route of the embedded AWS."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.emulator.url}/_embedded/{path}", data=data)  # noqa: S310  (the embedded AWS on 127.0.0.1)
        with urllib.request.urlopen(request) as response:  # noqa: S310  (the embedded AWS on 127.0.0.1)
            return json.loads(response.read())


class Served(Protocol):
    """Whatever has an embedded AWS, whose worker page is meant."""

    @property
    def emulator(self) -> launcher.Emulator: ...


class Portal:
    """One person's browser at the worker page, without the scripts: cookies, forms, the page's JSON routes."""

    def __init__(self, served: Served) -> None:
        self._url = served.emulator.url
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.csrf = ""

    def fetch(self, path: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
        """(status, lower-case headers, body), whatever the status."""
        request = urllib.request.Request(f"{self._url}{path}", data=data, headers=headers or {})  # noqa: S310  (the embedded AWS on 127.0.0.1)
        try:
            with self._opener.open(request) as response:
                return response.status, {key.lower(): value for key, value in response.headers.items()}, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, {key.lower(): value for key, value in error.headers.items()}, error.read().decode()

    def sign_in(self, username: str, password: str = PASSWORD) -> str:
        """Submit the sign-in form; returns the page that follows."""
        form = self.fetch("/worker")[2]
        fields = {"token": _first(r'name="token" value="([^"]+)"', form), "username": username, "password": password}
        page = self.fetch("/worker/sign-in", urllib.parse.urlencode(fields).encode())[2]
        found = re.search(r'name="csrf-token" content="([^"]+)"', page)
        self.csrf = found[1] if found else ""
        return page

    def post(self, path: str, body: dict[str, Any], csrf: str | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json", "X-CSRF-Token": self.csrf if csrf is None else csrf}
        status, _, text = self.fetch(path, json.dumps(body).encode(), headers)
        return status, json.loads(text)

    def next(self, *, skipped: bool = False) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.fetch("/worker/next?skipped=1" if skipped else "/worker/next")[2])
        return state

    def take(self) -> str:
        """The id of the task that the page offers now."""
        return str(wait_for(lambda: self.next()["task"], "a task")["id"])

    def take_about(self, text: str) -> str:
        """The id of the task about this text; whatever else is offered is skipped."""

        def offered() -> str | None:
            task = self.next()["task"]
            if task is not None and text in self.fetch(f"/worker/tasks/{task['id']}")[2]:
                return str(task["id"])
            if task is not None:
                self.post("/worker/skips", {"task": task["id"], "reason": "other"})
            return None

        return str(wait_for(offered, f"a task about {text!r}"))

    def answer(self, label: str) -> dict[str, Any]:
        """Answer the offered task; returns the page's next state."""
        status, state = self.post("/worker/answers", {"task": self.take(), "answer": {"category": {"label": label}}})
        assert status == 200, state
        return state


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in {text[:300]}"
    return found[1]


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def person(review: Review, username: str, team: str | None = None) -> Portal:
    """A signed-in worker; with ``team`` they work for a team of their own."""
    if team is not None:
        review.client("cognito-idp").create_group(UserPoolId=review.pool, GroupName=team)
        review.client("sagemaker").create_workteam(WorkteamName=team, Description=team, MemberDefinitions=[review.member(team)])
    review.add_worker(username, group=team)
    portal = Portal(review)
    portal.sign_in(username)
    return portal


def team_arn(review: Review, name: str) -> str:
    return str(review.client("sagemaker").describe_workteam(WorkteamName=name)["Workteam"]["WorkteamArn"])
