"""A request to a service that is not there is answered with that service's name and those that are.

ministack answers in a form that no SDK reads, takes the request for S3's, or says InvalidAction without the service.

Hooks: ``app._dispatch_service_request``; ``app.detect_service``, to see what it would be taken for; and
``router._is_aws_service_name``. For the last one, ministack would read the models of all 400 services of botocore at the first request for
SageMaker, and answer nobody for six seconds.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import botocore.session
from ministack import app
from ministack.core import router

_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/")
_TAKEN_FOR = ("s3", "unknown_query")
CODE = "NotImplemented"
STATUS = 501
"""No SDK tries this one again."""


def install() -> None:
    """Put the hooks in place."""
    router._is_aws_service_name = functools.partial(_is_known, frozenset(botocore.session.get_session().get_available_services()))
    app._dispatch_service_request = _naming(app._dispatch_service_request)


def _is_known(names: frozenset[str], scope: str) -> bool:
    """Whether there is a service of this name. Some sign with another one than botocore's, such as ``servicequotas``."""
    return scope in app.SERVICE_HANDLERS or scope in names


def scope_of(headers: dict[str, str], query: dict[str, Any]) -> str:
    """The service that a request is signed for; empty without a signature of version 4."""
    found = _SCOPE.search(headers.get("authorization", ""))
    if found:
        return found[1]
    given = query.get("X-Amz-Credential") or [""]
    parts = str(given[0] if isinstance(given, list) else given).split("/")
    return parts[3] if len(parts) > 3 else ""


def _naming(dispatch: Any) -> Any:
    @functools.wraps(dispatch)
    async def wrapper(  # noqa: PLR0917  (the hook's signature)
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any], request_id: str
    ) -> Any:
        scope = scope_of(headers, query_params)
        if not scope or scope.startswith("s3") or scope in app.SERVICE_HANDLERS:
            return await dispatch(method, path, headers, body, query_params, request_id)
        found = app.detect_service(method, path, headers, app._routing_params(method, path, headers, body, query_params))
        if found in app.SERVICE_HANDLERS and found not in _TAKEN_FOR:
            return await dispatch(method, path, headers, body, query_params, request_id)
        return _answer(scope, method, path, headers, body, request_id)

    return wrapper


def _answer(scope: str, method: str, path: str, headers: dict[str, str], body: bytes, request_id: str) -> Any:  # noqa: PLR0917
    form = parse_qs(body.decode("utf-8", "replace")) if "x-www-form-urlencoded" in headers.get("content-type", "") else {}
    action = headers.get("x-amz-target", "").rsplit(".", 1)[-1] or "".join(form.get("Action", [])[:1]) or f"{method} {path}"
    message = (
        f"The embedded AWS has no service {scope}, so {action} cannot be answered. It has: {', '.join(sorted(app.SERVICE_HANDLERS))}."
        " Use an account for what needs another one."
    )
    if form:
        text = f"<Type>Sender</Type><Code>{CODE}</Code><Message>{escape(message)}</Message>"
        xml = f"<ErrorResponse><Error>{text}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
        return STATUS, {"Content-Type": "text/xml"}, xml.encode()
    head = {"Content-Type": "application/json", "x-amzn-ErrorType": CODE}
    return STATUS, head, json.dumps({"__type": CODE, "message": message, "Message": message}).encode()
