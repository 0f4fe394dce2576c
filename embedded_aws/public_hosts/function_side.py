"""Runs inside a function's process, before its code is imported: standard library only, and nothing of this package."""

from __future__ import annotations

import http.client
import re
from typing import Any


def turn_public_hosts(pattern: str, suffix: str, port: int, mark: str) -> None:
    """Let HTTPS connections to public AWS hosts go to the embedded AWS.

    Args:
        pattern: of such a host's whole name.
        suffix: that the name gets in the ``Host`` header.
        port: of the embedded AWS on 127.0.0.1.
        mark: header that says that a function asks.
    """
    public = re.compile(pattern)
    secure: Any = http.client.HTTPSConnection
    connect, putheader = secure.connect, secure.putheader

    def is_public(connection: Any) -> bool:
        return connection.port == http.client.HTTPS_PORT and public.fullmatch(connection.host.lower()) is not None

    def connect_here(self: Any) -> None:
        if is_public(self):
            self.sock = self._create_connection(("127.0.0.1", port), self.timeout, self.source_address)
        else:
            connect(self)

    def put_here(self: Any, header: str, *values: Any) -> None:
        if is_public(self) and header.lower() == "host":
            putheader(self, mark, "1")
            values = (f"{self.host}{suffix}:{port}",)
        putheader(self, header, *values)

    secure.connect, secure.putheader = connect_here, put_here
