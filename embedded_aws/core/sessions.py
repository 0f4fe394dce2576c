"""boto3 sessions inside the embedded AWS: a service that acts under a role does so with that role's session and real IAM checks.

A training job that reads its channels, an endpoint that writes capture files, a flow definition that writes
answers: each uses :func:`role_session`, so a missing grant on the execution role is a real AccessDenied.
"""

from __future__ import annotations

import functools
import os
import secrets
import threading
import time
from typing import Any

import boto3
from botocore.config import Config
from ministack.core import responses
from ministack.services import sts

from embedded_aws.core.api import Records, validation_error
from embedded_aws.iam.role_decisions import may_be_assumed_by, role_exists

ENDPOINT_URL = f"http://127.0.0.1:{os.environ.get('GATEWAY_PORT', '4566')}"
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=120, s3={"addressing_style": "path"}
)
_SHARED_SECONDS = 900
_SESSION_NAME = "SageMaker"
_SESSIONS = Records("role-session")

_shared = boto3.Session()
"""One session makes every client: service models and endpoint rules are read once, which costs more than the calls themselves."""
_making = threading.Lock()
"""A session may not make two clients at once; clients themselves are thread-safe."""


class ServiceSession:
    """Clients with one set of credentials, all pointing at this embedded AWS; each is made once."""

    def __init__(self, region: str, **credentials: str) -> None:
        self._region, self._credentials = region, credentials
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        with _making:
            if service not in self._clients:
                self._clients[service] = _shared.client(
                    service, region_name=self._region, endpoint_url=ENDPOINT_URL, config=CLIENT_CONFIG, **self._credentials
                )
            return self._clients[service]


def root_session() -> ServiceSession:
    """The account's root: for what a service does on its own behalf (metrics, its own logs)."""
    return _root_session(responses.get_region())


@functools.cache
def _root_session(region: str) -> ServiceSession:
    return ServiceSession(region, aws_access_key_id="test", aws_secret_access_key="test")  # noqa: S106  (the embedded AWS's root, no secret)


def role_session(role_arn: str, principal: str) -> ServiceSession:
    """Credentials of ``role_arn``, assumed by the service ``principal`` (``sagemaker.amazonaws.com``).

    A session is shared for a quarter of an hour. The role's existence and trust are looked at here each time, its policies in
    every call.

    Raises:
        ApiError: ValidationException when the role does not exist or its trust policy does not let the service assume it.
    """
    _require_trust(role_arn, principal)
    key = f"{role_arn} {principal}"
    with _SESSIONS.lock:
        known = _SESSIONS.find(key)
        if known is not None and known["until"] > time.monotonic():
            session: ServiceSession = known["session"]
            return session
    session = _assume(role_arn)
    made = {"session": session, "until": time.monotonic() + _SHARED_SECONDS}
    with _SESSIONS.lock:
        if _SESSIONS.find(key) is not None:
            _SESSIONS.remove(key)
        _SESSIONS.add(key, made)
    return session


def _require_trust(role_arn: str, principal: str) -> None:
    if may_be_assumed_by(role_arn, principal):
        return
    if not role_exists(role_arn):
        raise validation_error(f"Could not assume role {role_arn}: the role does not exist.")
    raise validation_error(
        f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal '{principal}' to assume the role."
    )


def _assume(role_arn: str) -> ServiceSession:
    """Put a session of the role among ministack's own, as ministack does for a function's role: STS knows no calling service."""
    name, account = role_arn.rsplit("/", 1)[-1], role_arn.split(":")[4]
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(32)
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{_SESSION_NAME}",
            "UserId": f"{name}:{_SESSION_NAME}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + 4 * _SHARED_SECONDS,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return ServiceSession(responses.get_region(), aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token)
