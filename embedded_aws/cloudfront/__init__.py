"""CloudFront: distributions that serve what their templates say. Nothing is cached, so every answer is the origin's own; AWS keeps an
error for 10 s unless the distribution's ``CustomErrorResponses`` say otherwise.

ministack matches behaviours, applies the policies of headers, cookies and query strings, and asks a bucket's policy with ``aws:SourceArn``
for an origin access control. It does not ask the key policy of a bucket that is encrypted with a customer key.

Hooks: ``cloudfront._dataplane_allowed_methods`` and ``_fetch_from_origin``. Source: CloudFront API reference, AllowedMethods (without it, a
behaviour takes GET and HEAD).
"""

from __future__ import annotations

import functools
import http
from typing import Any
from urllib.parse import unquote

from ministack.services import cloudfront

from embedded_aws.public_hosts import names, serving
from embedded_aws.public_hosts.asked import Asked, over_https

_WITHOUT_METHODS = ["GET", "HEAD"]


def install() -> None:
    """Put the hooks in place."""
    cloudfront._dataplane_allowed_methods = _defaulting(cloudfront._dataplane_allowed_methods)
    cloudfront._fetch_from_origin = _reaching_our_apis(cloudfront._fetch_from_origin)


def _defaulting(stock: Any) -> Any:
    @functools.wraps(stock)
    def allowed(behavior_el: Any) -> list[str]:
        methods: list[str] | None = stock(behavior_el)
        return methods or list(_WITHOUT_METHODS)

    return allowed


def _reaching_our_apis(stock: Any) -> Any:
    """A custom origin may be an HTTP API of the account. Other hosts of AWS stay refused, as ministack does it."""

    @functools.wraps(stock)
    async def fetch(  # noqa: PLR0917  (the hook's signature)
        origin: dict[str, Any], method: str, uri: str, query_string: str, headers: dict[str, Any], body: bytes,
        viewer_is_https: bool, client_ip: str, viewer_xff: str, dist_arn: str,
    ) -> Any:  # fmt: skip
        host = names.parse(cloudfront._normalize_origin_host(origin["domain_name"]))
        if host is None or host.kind is not names.Kind.HTTP_API:
            return await stock(origin, method, uri, query_string, headers, body, viewer_is_https, client_ip, viewer_xff, dist_arn)
        path = f"{origin.get('origin_path') or ''}{uri}"
        sent = {name.lower(): value for name, value in cloudfront._origin_request_headers(origin, headers, client_ip, viewer_xff).items()}
        asked = Asked(method, unquote(path), path, query_string, over_https(sent), body, client_ip)
        status, answered, content = await serving.answer(host, asked)
        return status, http.HTTPStatus(status).phrase, {name.lower(): value for name, value in answered.items()}, content

    return fetch
