"""An HTTP API's event (payload format 2.0) as a request of the page, and the page's response as the API's. Pure.

Source: API Gateway developer guide, "Working with AWS Lambda proxy integrations for HTTP APIs".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from review_page.http import PageRequest, PageResponse

MOST_BODY_BYTES = 64 * 1024


class BodyTooLarge(Exception):
    """More than any request of the page has."""


def page_request(event: Mapping[str, Any], origin: str) -> PageRequest:
    """Raises BodyTooLarge.

    Args:
        origin: the page's own. The event's ``Host`` is whatever the caller has sent, so it says nothing.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    if event.get("cookies"):
        headers["cookie"] = "; ".join(event["cookies"])
    return PageRequest(
        method=event["requestContext"]["http"]["method"],
        path=event["rawPath"],
        headers=headers,
        body=_body(event),
        query={name: values[0] for name, values in parse_qs(event.get("rawQueryString", ""), keep_blank_values=True).items()},
        origin=origin,
    )


def api_response(response: PageResponse) -> dict[str, Any]:
    """Bytes in base64, so that every file comes through as it is."""
    headers = {name: value for name, value in response.headers.items() if name != "Set-Cookie"}
    cookies = [response.headers["Set-Cookie"]] if "Set-Cookie" in response.headers else []
    return {
        "statusCode": response.status,
        "headers": headers,
        **({"cookies": cookies} if cookies else {}),
        "body": base64.b64encode(response.body).decode(),
        "isBase64Encoded": True,
    }


def _body(event: Mapping[str, Any]) -> bytes:
    raw = event.get("body") or ""
    if len(raw) > 2 * MOST_BODY_BYTES:
        raise BodyTooLarge
    try:
        body = base64.b64decode(raw) if event.get("isBase64Encoded") else raw.encode(errors="replace")
    except binascii.Error:
        return b""
    if len(body) > MOST_BODY_BYTES:
        raise BodyTooLarge
    return body
