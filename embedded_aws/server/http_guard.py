"""The embedded AWS answers the programs of this machine and its own pages, and no web page from elsewhere.

Its root credentials are public (key id and secret ``test``) and it starts functions and jobs as processes of the user, so
whatever can send it a request can run code here. A page in the user's browser can: by ``fetch`` in mode no-cors, a form or an
image, or under a name of its own that it makes resolve to 127.0.0.1 (DNS rebinding). SDKs, CLIs and curl send none of the headers
that are looked at here, except Host.

A public host of the account (``embedded_aws.public_hosts``) is as open to pages as it is on AWS, under its own name here only: it answers
with what that host serves, and never with the account's API.

Hook: ``ministack.app.app``, the ASGI entry that sees every request and WebSocket before anything else does. Sources: W3C, Fetch
Metadata Request Headers (browsers send them to loopback addresses); RFC 6761, section 6.3 (names below ``.localhost`` are loopback).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from ministack import app

from embedded_aws.public_hosts import names

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_FOREIGN_SITES = ("cross-site", "same-site")
"""``same-site`` is another port of this machine, such as a development server."""
_ASSETS = "/worker/assets/"
_PORTAL = "/worker"


def refusal(method: str, target: str, headers: Sequence[tuple[str, str]]) -> str | None:
    """The reason why a request is refused, for its sender. None when the request is answered.

    Args:
        method: HTTP method; empty for a WebSocket.
        target: path, with the query if there is one.
        headers: names in lower case.
    """
    given = {name: [value for key, value in headers if key == name] for name, _ in headers}
    hosts = given.get("host", [])
    if len(hosts) != 1 or not _is_loopback(hosts[0]):
        return "The embedded AWS is served to this machine only: use 127.0.0.1 or localhost in its address."
    if method and names.asked_for(hosts[0]) is not None:
        return None
    if method in ("GET", "HEAD") and set(given.get("origin", [])) <= {"null"} and _is_open_to_pages(urlsplit(target), given):
        return None
    if any(origin != f"http://{hosts[0]}" for origin in given.get("origin", [])):
        return "Requests that another site's page sends are refused."
    if any(site in _FOREIGN_SITES for site in given.get("sec-fetch-site", [])):
        return "Requests that another site's page sends are refused."
    return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"http://{host}").hostname or ""
    except ValueError:
        return False
    return name in _LOOPBACK or name.endswith(".localhost")


def _is_open_to_pages(target: SplitResult, given: dict[str, list[str]]) -> bool:
    """What reads nothing but what the page may have anyway: a link to the worker page, and what a task's sandboxed frame loads.

    Such a frame has an origin of its own ("null"), so its scripts, styles and pictures come cross-site.
    """
    if target.path.startswith(_ASSETS):
        return True
    if target.path.rstrip("/") == _PORTAL:
        return given.get("sec-fetch-mode") == ["navigate"] and given.get("sec-fetch-dest") == ["document"]
    return given.get("sec-fetch-dest") in (["image"], ["audio"], ["video"]) and _is_granted_read(target.query)


def _is_granted_read(query: str) -> bool:
    """A URL that ``grant_read_access`` made in a worker template: signed by a role's session, which only this embedded AWS can do."""
    values = {name.lower(): given[0] for name, given in parse_qs(query).items()}
    if "x-amz-security-token" not in values:
        return False
    if "x-amz-signature" in values:
        key_id, *scope = values.get("x-amz-credential", "").split("/")
        return key_id.startswith("ASIA") and scope[-2:] == ["s3", "aws4_request"]
    # Signature version 2, which botocore signs S3's URLs with by default in the oldest regions, and no other service knows.
    return "signature" in values and values.get("awsaccesskeyid", "").startswith("ASIA")


def install() -> None:
    """Put the hook in place."""
    stock = app.app

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await stock(scope, receive, send)
            return
        headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        target = f"{scope['path']}?{scope.get('query_string', b'').decode('latin-1')}"
        reason = refusal(scope.get("method", ""), target, headers)
        if reason is None:
            await stock(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send, reason)

    app.app = guarded


async def _refuse(send: Any, reason: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"message": reason}).encode()})
