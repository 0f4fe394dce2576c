"""Answers requests to this account's public hosts, and nothing else of the account: such a host never falls through to a service's API.

The host's own service sees what it would see on AWS: its public name in ``Host``, ``Origin`` and ``Referer``, over HTTPS. What goes back to
a browser has the addresses of this machine instead, in redirects, in the content security policy and in CORS.

Hook: ``app.app``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

from ministack import app
from ministack.core import responses
from ministack.services import cloudfront, cognito

from embedded_aws.api_gateway import http_api
from embedded_aws.cognito.managed_login import routes as managed_login
from embedded_aws.public_hosts import names, owners
from embedded_aws.public_hosts.asked import Answer, Asked, over_https
from embedded_aws.public_hosts.names import Kind, PublicHost

log = logging.getLogger("embedded_aws")

PORT = int(os.environ.get("GATEWAY_PORT", "4566"))
MOST_BYTES = 64 * 1024 * 1024
"""Largest body of a request. API Gateway's limit is lower (:data:`http_api.MOST_BYTES`)."""
_WITH_ADDRESSES = ("location", "content-security-policy", "content-security-policy-report-only", "access-control-allow-origin")
_LARGE = json.dumps({"message": "Request Entity Too Large"}).encode()


class _BodyTooLarge(Exception):
    """More came than any public host takes."""


def install() -> None:
    """Put the hooks in place."""
    stock = app.app

    async def served(scope: dict[str, Any], receive: Any, send: Any) -> None:
        host = names.asked_for(_headers(scope).get("host", "")) if scope["type"] == "http" else None
        if host is None:
            await stock(scope, receive, send)
        else:
            await _serve(host, scope, receive, send)

    app.app = served


async def _serve(host: PublicHost, scope: dict[str, Any], receive: Any, send: Any) -> None:
    headers = _headers(scope)
    from_function = bool(headers.pop(names.FROM_FUNCTION, ""))
    try:
        body = await _read(receive)
        app.pin_request_origin(_client_ip(scope), True)
        asked = Asked(
            scope["method"],
            scope["path"],
            scope["raw_path"].decode("ascii") if scope.get("raw_path") else scope["path"],
            scope.get("query_string", b"").decode("latin-1"),
            _for_service(host, headers),
            body,
            _client_ip(scope),
        )
        status, answered, content = await answer(host, asked)
    except _BodyTooLarge:
        status, answered, content = 413, {"Content-Type": "application/json", "Connection": "close"}, _LARGE
    except Exception:
        log.exception("%s %s%s failed", scope["method"], host.name, scope["path"])
        status, answered, content = _refusal(500, "The embedded AWS failed; see its log.")
    if not from_function:
        answered = {name: _for_browser(name, value) for name, value in answered.items()}
    await app._send_response(app._with_date_header(send), status, answered, content, head=scope["method"] == "HEAD")


async def answer(host: PublicHost, asked: Asked) -> Answer:
    """What the service behind a public host answers; 404 for one that the account does not have."""
    with responses.request_scope(responses.get_account_id(), host.region or responses.get_region()):
        return await _SERVICES[host.kind](host, asked) if owners.is_ours(host) else _refusal(404, f"This account has no {host.name}.")


# -- services --------------------------------------------------------------------------------------


async def _distribution(host: PublicHost, asked: Asked) -> Answer:
    found: Answer = await cloudfront.handle_viewer_request(
        owners.distribution(host), asked.method, asked.path, asked.raw_path, asked.query_string, dict(asked.headers), asked.body,
        asked.query, asked.client_ip,
    )  # fmt: skip
    return found


async def _api(host: PublicHost, asked: Asked) -> Answer:
    if asked.headers.get("host") != host.name:
        return _refusal(403, "Forbidden")
    return await http_api.answer(host, asked)


async def _sign_in(host: PublicHost, asked: Asked) -> Answer:
    pool = owners.user_pool(host)
    return await managed_login.answer(pool, asked) if pool else _refusal(404, "Not Found")


async def _issuer(host: PublicHost, asked: Asked) -> Answer:
    """A pool's published keys, with which an app checks a token. The rest of this host is Cognito's API: use an SDK's endpoint for it."""
    pool, _, document = asked.path.lstrip("/").partition("/")
    if asked.method in ("GET", "HEAD") and cognito._user_pools.get(pool) is not None:
        if document == ".well-known/jwks.json":
            keys: Answer = cognito.well_known_jwks(pool)
            return keys
        if document == ".well-known/openid-configuration":
            configuration: Answer = cognito.well_known_openid_configuration(pool, host.region, host.name, "https")
            return configuration
    return _refusal(404, "Not Found")


_SERVICES: dict[Kind, Callable[[PublicHost, Asked], Awaitable[Answer]]] = {
    Kind.DISTRIBUTION: _distribution,
    Kind.HTTP_API: _api,
    Kind.SIGN_IN: _sign_in,
    Kind.ISSUER: _issuer,
}


# -- requests and answers --------------------------------------------------------------------------


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    """Headers by lower-case name. A header on several lines is joined as RFC 9110, 5.3 and RFC 9113, 8.2.3 say."""
    found: dict[str, str] = {}
    for name, value in scope.get("headers", []):
        key, text = name.decode("latin-1").lower(), app.decode_header_value(value)
        found[key] = f"{found[key]}{'; ' if key == 'cookie' else ', '}{text}" if key in found else text
    return found


def _client_ip(scope: dict[str, Any]) -> str:
    return str((scope.get("client") or ("127.0.0.1",))[0])


async def _read(receive: Any) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise _BodyTooLarge
        more = message.get("more_body", False)
    return b"".join(parts)


def _for_service(host: PublicHost, headers: dict[str, str]) -> dict[str, str]:
    public = {name: names.for_service(value) if name in ("origin", "referer") else value for name, value in headers.items()}
    return {**over_https(public), "host": host.name}


def _for_browser(name: str, value: Any) -> Any:
    if name.lower() not in _WITH_ADDRESSES:
        return value
    if isinstance(value, list | tuple):
        return [names.for_browser(item, PORT, owners.is_ours) for item in value]
    return names.for_browser(str(value), PORT, owners.is_ours)


def _refusal(status: int, message: str) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps({"message": message}).encode()
