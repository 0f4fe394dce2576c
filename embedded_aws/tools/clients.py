"""boto3 clients of an embedded AWS, made once each: the account's root by default, or a role's credentials."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import Credentials

ACCOUNT = "000000000000"
ROOT = Credentials("test", "test")
_making = threading.Lock()
"""A session may not make two clients at once; clients themselves are thread-safe."""


class Clients:
    """``clients("s3")`` is a shared client of root; ``clients("s3", credentials)`` is a new one of somebody else.

    Args:
        url: of the embedded AWS, ``http://127.0.0.1:<port>``.
        region: that it was started with.
        attempts: tries per call, the first one included.
        read_timeout: seconds that a call waits for an answer.
    """

    def __init__(self, url: str, region: str = "us-east-1", *, attempts: int = 2, read_timeout: float = 120) -> None:
        self.url, self.region = url, region
        self._config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            read_timeout=read_timeout,
            max_pool_connections=16,
            s3={"addressing_style": "path"},
        )
        self._shared: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._of_thread = threading.local()

    def __call__(self, service: str, credentials: Credentials = ROOT) -> Any:
        if credentials is not ROOT:
            return self._made("client", service, credentials)
        with self._lock:
            if service not in self._shared:
                self._shared[service] = self._made("client", service, ROOT)
            return self._shared[service]

    def resource(self, service: str) -> Any:
        """A boto3 resource of root, such as ``dynamodb``. Resources are not thread-safe, so each thread has its own, made once."""
        made: dict[str, Any] = self._of_thread.__dict__.setdefault("resources", {})
        if service not in made:
            made[service] = self._made("resource", service, ROOT)
        return made[service]

    def _made(self, kind: str, service: str, credentials: Credentials) -> Any:
        with _making:
            return getattr(_session(), kind)(
                service,
                region_name=self.region,
                endpoint_url=self.url,
                config=self._config,
                aws_access_key_id=credentials.access_key,
                aws_secret_access_key=credentials.secret_key,
                aws_session_token=credentials.token,
            )


@cache
def _session() -> boto3.Session:
    """The one of this process: service models and endpoint rules are read once, which costs more than making a client."""
    return boto3.Session()
