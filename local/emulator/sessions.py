"""boto3 sessions inside the emulator: a service that acts under a role does so through STS and real IAM checks.

A training job that reads its channels, an endpoint that writes capture files, a flow definition that writes
answers: each uses :func:`role_session`, so a missing grant on the execution role is a real AccessDenied.
"""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core import responses

from local.emulator.api import validation_error

ENDPOINT_URL = f"http://127.0.0.1:{os.environ.get('GATEWAY_PORT', '4566')}"
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=120, s3={"addressing_style": "path"}
)


class ServiceSession:
    """Clients with one set of credentials, all pointing at this emulator."""

    def __init__(self, **credentials: str) -> None:
        self._session = boto3.Session(region_name=responses.get_region(), **credentials)

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=ENDPOINT_URL, config=CLIENT_CONFIG)


def root_session() -> ServiceSession:
    """The account's root: for what a service does on its own behalf (metrics, its own logs)."""
    return ServiceSession(aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106  (the emulator's root, no secret)


def role_session(role_arn: str, principal: str, session_name: str) -> ServiceSession:
    """Credentials of ``role_arn``, assumed by the service ``principal`` (``sagemaker.amazonaws.com``).

    Raises:
        ApiError: ValidationException when the role does not exist or its trust policy does not name the service.
    """
    name = role_arn.rsplit("/", 1)[-1]
    root = root_session()
    try:
        document = root.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    except ClientError:
        raise validation_error(f"Could not assume role {role_arn}: the role does not exist.") from None
    if isinstance(document, str):
        document = json.loads(document)
    if not any(principal in _services(statement) for statement in document["Statement"] if statement["Effect"] == "Allow"):
        raise validation_error(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal '{principal}' to assume the role."
        )
    granted = root.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=session_name[:64])["Credentials"]
    return ServiceSession(
        aws_access_key_id=granted["AccessKeyId"],
        aws_secret_access_key=granted["SecretAccessKey"],
        aws_session_token=granted["SessionToken"],
    )


def _services(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    return [services] if isinstance(services, str) else list(services)
