"""A running embedded AWS for the tests of ``local/``: one a session, with waits fifty times faster than declared."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pytest
from botocore.credentials import Credentials

from embedded_aws.testing import web
from embedded_aws.testing.reviews import PEOPLE_TIME_SCALE, Review
from embedded_aws.tools import launcher
from embedded_aws.tools.clients import Clients

REGION = "us-east-1"
TIME_SCALE = 0.02


class ClientFactory(Protocol):
    """``aws("s3")``; with ``credentials`` (from STS) the client acts as that role instead of the account's root."""

    def __call__(self, service: str, credentials: dict[str, Any] | None = None) -> Any: ...


class RoleFactory(Protocol):
    """``make_role("name", [statement, ...])`` -> role ARN; ``services`` may assume it."""

    def __call__(self, name: str, statements: Sequence[dict[str, Any]], services: Sequence[str] = ("sagemaker.amazonaws.com",)) -> str: ...


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Emulator]:
    """An embedded AWS of this test session with an empty state; names in tests must be unique to the test."""
    running = launcher.start(tmp_path_factory.mktemp("emulator") / "run", port=launcher.free_port(), time_scale=TIME_SCALE, region=REGION)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def aws(emulator: launcher.Emulator) -> ClientFactory:
    """boto3 clients of the embedded AWS: root by default."""
    clients = Clients(emulator.url, REGION)

    def client(service: str, credentials: dict[str, Any] | None = None) -> Any:
        if credentials is None:
            return clients(service)
        return clients(service, Credentials(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]))

    return client


@pytest.fixture(scope="session")
def site(emulator: launcher.Emulator) -> web.Site:
    """A small public service (distribution, HTTP API, function, bucket, user pool) in the session's embedded AWS."""
    return web.deploy(emulator, "public-site")


@pytest.fixture(scope="session")
def make_role(aws: ClientFactory) -> RoleFactory:
    """Create IAM roles with exactly the given statements, which the embedded AWS enforces."""

    def make(name: str, statements: Sequence[dict[str, Any]], services: Sequence[str] = ("sagemaker.amazonaws.com",)) -> str:
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}],
        }
        iam = aws("iam")
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="grants", PolicyDocument=json.dumps(document))
        return arn

    return make


@pytest.fixture(scope="session")
def assume(aws: ClientFactory) -> Callable[[str], dict[str, Any]]:
    """Credentials of a role, for ``aws(service, credentials)``."""

    def credentials(role_arn: str) -> dict[str, Any]:
        granted: dict[str, Any] = aws("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
        return granted

    return credentials


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """``wait_until(probe)`` -> the first truthy value of ``probe()``; fails after ``seconds`` with the last one seen."""

    def wait(probe: Callable[[], Any], seconds: float = 60) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            value = probe()
            if value:
                return value
            if time.monotonic() > deadline:
                pytest.fail(f"nothing came within {seconds} s; the last value was {value!r}")
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    """An embedded AWS with a workforce, a team, a template and a role, whose people are hurried too; one a module."""
    running = launcher.start(
        tmp_path_factory.mktemp("review") / "run",
        port=launcher.free_port(),
        time_scale=TIME_SCALE,
        people_time_scale=PEOPLE_TIME_SCALE,
    )
    try:
        yield Review(running).set_up()
    finally:
        running.stop()
