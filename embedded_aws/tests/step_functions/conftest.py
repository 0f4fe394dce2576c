"""Fixtures of the tests of state machines."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Callable

import pytest

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.fixtures import ClientFactory
from embedded_aws.testing.jobs import Jobs
from embedded_aws.testing.state_machines import Machines


@pytest.fixture(scope="session")
def machines(aws: ClientFactory, make_role: Callable[..., str]) -> Machines:
    return Machines(aws, make_role)


@pytest.fixture(scope="session")
def jobs(aws: ClientFactory, make_role: Callable[..., str]) -> Jobs:
    return job_setup.prepare(aws, make_role, "machine-tests")


@pytest.fixture(scope="session")
def function(aws: ClientFactory, make_role: Callable[..., str]) -> Callable[[str], str]:
    """``function(code)`` -> the ARN of a deployed Lambda function."""
    role = make_role("machine-functions", [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}], ["lambda.amazonaws.com"])

    def deploy(code: str) -> str:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", code)
        asked = {"Runtime": "python3.11", "Handler": "index.handler", "Role": role, "Code": {"ZipFile": archive.getvalue()}}
        name = f"function-{uuid.uuid4().hex[:8]}"
        return str(aws("lambda").create_function(FunctionName=name, **asked)["FunctionArn"])

    return deploy
