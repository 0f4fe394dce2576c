"""The signature of the account's root is checked like anybody's, and what AWS takes from nobody unsigned is refused unsigned.

ministack verifies what IAM users and role sessions sign (time, token, scope, body and aws-chunked pieces) and takes whatever names the
root's key id. Here the root's secret, ``test`` unless the environment names another, must have signed the request, in its headers or in
a presigned URL.

Without a signature, ministack knows a service by its credential scope no more: requests of the services that this extension adds, and of
EventBridge Scheduler, would be taken for S3's. They are refused here. Public operations of Cognito, API Gateway's stages, function URLs and
S3 objects that a policy opens stay open, as on AWS.

Hooks: ``app.app``; ``app.pin_signed_request``; ``iam_evaluator._is_root_key``, ``pin_signed_request`` and ``caller_verified``.
"""

from __future__ import annotations

import contextvars
import functools
import json
import re
from typing import Any
from urllib.parse import parse_qs

from ministack import app
from ministack.core import iam_evaluator

_TARGETS = ("SageMaker.", "AnyScaleFrontendService.")
_PATHS = re.compile(r"/endpoints/[^/]+/(invocations|async-invocations|invocations-response-stream)|/human-loops(/.*)?|/schedules?(/.*)?")
_CREDENTIALS = ("X-Amz-Algorithm", "AWSAccessKeyId")
_OWNERS_ONLY = ("s3:ListAllMyBuckets", "s3:CreateBucket")
"""What S3 lets nobody do anonymously, since no bucket policy speaks of it."""
_pinning: contextvars.ContextVar[bool] = contextvars.ContextVar("embedded_aws_pinning", default=False)


def install() -> None:
    """Put the hooks in place."""
    is_root_key = iam_evaluator._is_root_key

    def is_exempt(access_key_id: str) -> bool:
        """While a request is pinned for its check, no key is: the root's is then pinned too. Everywhere else this tells who root is."""
        return not access_key_id if _pinning.get() else bool(is_root_key(access_key_id))

    iam_evaluator._is_root_key = is_exempt
    app.pin_signed_request = iam_evaluator.pin_signed_request = _pinning_all(iam_evaluator.pin_signed_request)
    iam_evaluator.caller_verified = _pinning_all(iam_evaluator.caller_verified)
    app.app = _refusing_unsigned(app.app)


def anonymous_refusal(action: str) -> Any:
    """The denial of an S3 action that an unsigned request asks for; None where a bucket's policy decides."""
    if iam_evaluator._anonymous.get() and action in _OWNERS_ONLY:
        return iam_evaluator.AuthError("AccessDenied", "Access Denied")
    return None


def is_unsigned_call(path: str, headers: dict[str, str], query: str) -> bool:
    """Whether a request is one of a service that takes none without a signature, and has none."""
    if "authorization" in headers or any(name in parse_qs(query) for name in _CREDENTIALS):
        return False
    return headers.get("x-amz-target", "").startswith(_TARGETS) or bool(_PATHS.fullmatch(path))


def _refusing_unsigned(stock: Any) -> Any:
    async def checked(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and app.AUTH:
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            if is_unsigned_call(scope["path"], headers, scope.get("query_string", b"").decode("latin-1")):
                kind = "MissingAuthenticationTokenException"
                head = [(b"content-type", b"application/x-amz-json-1.1"), (b"x-amzn-errortype", kind.encode())]
                await send({"type": "http.response.start", "status": 403, "headers": head})
                await send(
                    {"type": "http.response.body", "body": json.dumps({"__type": kind, "message": "Missing Authentication Token"}).encode()}
                )
                return
        await stock(scope, receive, send)

    return checked


def _pinning_all(pin: Any) -> Any:
    @functools.wraps(pin)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        token = _pinning.set(True)
        try:
            return pin(*args, **kwargs)
        finally:
            _pinning.reset(token)

    return wrapper
