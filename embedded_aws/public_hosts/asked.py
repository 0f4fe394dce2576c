"""What a public host's service is asked, and what it answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

Answer = tuple[int, dict[str, Any], bytes]
"""Status, headers (a list for a header that is sent several times), body."""


@dataclass(frozen=True)
class Asked:
    """A request to a public host, as its service sees it; header names in lower case, ``path`` decoded, ``raw_path`` not."""

    method: str
    path: str
    raw_path: str
    query_string: str
    headers: dict[str, str]
    body: bytes
    client_ip: str

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.query_string, keep_blank_values=True)


def over_https(headers: dict[str, str]) -> dict[str, str]:
    """The headers with those that say how the caller came."""
    return {**headers, "x-forwarded-proto": "https", "x-forwarded-port": "443"}
