"""What a browser may do with answers that share the worker page's origin, and how much it may send.

The worker page, S3's objects and every API have one address here, while each has its own on AWS. So an HTML object of S3 that a reviewer
opens would run its scripts on the origin that holds their session, could read the page's token and answer in their name. A document that
is not the worker page's is therefore sandboxed: it gets an origin of its own, without scripts. SDKs, CLIs and curl ask for no document.

Hook: ``ministack.app.app``, which sees a request before its body is read. Sources: W3C, Content Security Policy Level 3, "sandbox"; Fetch
Metadata Request Headers.
"""

from __future__ import annotations

import json
from typing import Any

from ministack import app

from review_page import http

OWN = ("/worker", "/_embedded")
MOST_BYTES = {"/worker": http.MOST_BYTES, "/_embedded": 64 * 1024 * 1024}
"""Largest bodies of a request: of a form or an answer, and of recorded votes."""
_SANDBOX = b"sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
_DOCUMENTS = (b"document", b"iframe", b"frame", b"embed", b"object")


class _BodyTooLarge(Exception):
    """More came than may be sent to this path."""


def _prefix(path: str) -> str | None:
    """Which of our own prefixes a path belongs to."""
    return next((own for own in OWN if path == own or path.startswith(f"{own}/")), None)


def _wants_document(headers: dict[bytes, bytes]) -> bool:
    """Browsers without fetch metadata still name HTML first among what they accept when they load a page."""
    return headers.get(b"sec-fetch-dest") in _DOCUMENTS or headers.get(b"accept", b"").startswith(b"text/html")


def _counting(receive: Any, most: int) -> Any:
    count = 0

    async def counted() -> Any:
        nonlocal count
        message = await receive()
        count += len(message.get("body", b""))
        if count > most:
            raise _BodyTooLarge
        return message

    return counted


def _sandboxing(send: Any) -> Any:
    async def sandboxed(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() != b"content-security-policy"]
            message = {**message, "headers": [*kept, (b"content-security-policy", _SANDBOX), (b"x-content-type-options", b"nosniff")]}
        await send(message)

    return sandboxed


async def _refuse(send: Any, most: int) -> None:
    body = json.dumps({"message": f"The request is larger than the {most} bytes that this path takes."}).encode()
    headers = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def install() -> None:
    """Put the hook in place."""
    stock = app.app

    async def limited(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await stock(scope, receive, send)
            return
        own = _prefix(scope["path"])
        headers = {name.lower(): value for name, value in scope["headers"]}
        if own is None:
            await stock(scope, receive, _sandboxing(send) if _wants_document(headers) else send)
            return
        most = MOST_BYTES[own]
        declared = headers.get(b"content-length", b"0")
        try:
            if not declared.isdigit() or len(declared) > 18 or int(declared) > most:
                raise _BodyTooLarge
            await stock(scope, _counting(receive, most), send)
        except _BodyTooLarge:
            await _refuse(send, most)

    app.app = limited
