"""The kernel of the extension: operation registry, validation against botocore's models, error form.

A service module declares ``@operation("sagemaker", "CreateModel")`` functions of request dict to response
dict (JSON-RPC services) and ``@route("sagemaker", "POST", r"/endpoints/([^/]+)/invocations")`` functions for
REST runtimes; :func:`install` puts one handler a service into ministack's router.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import difflib
import hashlib
import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar

import botocore.session
import botocore.validate
import regex
from botocore.model import OperationModel, ServiceModel, Shape
from ministack import app
from ministack.core import responses

log = logging.getLogger("embedded_aws")

Request = dict[str, Any]
Response = dict[str, Any]
HttpResponse = tuple[int, dict[str, str], bytes]


class ApiError(Exception):
    """An AWS error response."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def validation_error(message: str) -> ApiError:
    return ApiError("ValidationException", message)


@dataclass(frozen=True)
class HttpRequest:
    """What a REST route receives; ``headers`` are lower case, ``match`` holds the path groups."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    query: dict[str, Any]
    match: tuple[str, ...]

    def json(self) -> Any:
        try:
            return json.loads(self.body or b"{}")
        except ValueError as error:
            raise validation_error(f"the body is not JSON: {error}") from None


_OPERATIONS: dict[tuple[str, str], Callable[[Request], Response]] = {}
_ROUTES: list[tuple[str, str, Any, Callable[[HttpRequest], HttpResponse]]] = []


def operation(service: str, name: str) -> Callable[[Callable[[Request], Response]], Callable[[Request], Response]]:
    """Register a JSON-RPC operation; its request is validated before the function sees it."""

    def register(function: Callable[[Request], Response]) -> Callable[[Request], Response]:
        if (service, name) in _OPERATIONS:
            raise RuntimeError(f"{service}:{name} is registered twice")
        _OPERATIONS[(service, name)] = function
        return function

    return register


def route(
    service: str, method: str, pattern: str
) -> Callable[[Callable[[HttpRequest], HttpResponse]], Callable[[HttpRequest], HttpResponse]]:
    """Register a REST path (full match) of a service's runtime API."""

    def register(function: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
        _ROUTES.append((service, method, regex.compile(pattern), function))
        return function

    return register


_REFUSALS: dict[str, Callable[[str, Request], list[str]]] = {}


def refuse_by(service: str, problems: Callable[[str, Request], list[str]]) -> None:
    """Refuse a valid request of a service in which ``problems(operation, request)`` names something that cannot be honoured."""
    _REFUSALS[service] = problems


def call(service: str, name: str, request: Request) -> Response:
    """Call a registered operation in process, validated as a client's call would be.

    Raises:
        ApiError: as the service would answer.
    """
    function = _OPERATIONS.get((service, name))
    if function is None:
        known = [operation for owner, operation in _OPERATIONS if owner == service]
        near = difflib.get_close_matches(name, known, 3) or sorted(known)
        raise ApiError("UnknownOperationException", f"{service}:{name} is not part of the embedded AWS, which has {', '.join(near)}.")
    validate(service, name, request)
    found = _REFUSALS[service](name, request) if service in _REFUSALS else []
    if found:
        raise validation_error("; ".join(found))
    return function(request)


# -- validation ------------------------------------------------------------------------------------


@cache
def _loader() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def service_model(service: str) -> ServiceModel:
    """botocore's model of a service (as botocore names it, e.g. ``sagemaker-a2i-runtime``)."""
    return _loader().get_service_model(service)


@cache
def operation_model(service: str, name: str) -> OperationModel:
    """botocore's model of an operation."""
    return service_model(service).operation_model(name)


def validate(service: str, name: str, request: Request) -> None:
    """Check a request against botocore's model *and* its patterns and upper bounds, which botocore itself ignores.

    Raises:
        ApiError: ValidationException in the service's wording.
    """
    shape = operation_model(service, name).input_shape
    if shape is None:
        return
    report = botocore.validate.ParamValidator().validate(request, shape)
    if report.has_errors():
        raise validation_error(report.generate_report())
    problems = list(_pattern_problems(shape, request, name[0].lower() + name[1:]))
    if problems:
        count = len(problems)
        raise validation_error(f"{count} validation error{'s' if count > 1 else ''} detected: " + "; ".join(problems))


def _pattern_problems(shape: Shape, value: Any, path: str) -> Any:
    if value is None:
        return
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        for key, item in value.items():
            if key in shape.members:
                yield from _pattern_problems(shape.members[key], item, f"{path}.{key[0].lower()}{key[1:]}")
    elif kind == "list":
        longest = shape.metadata.get("max")
        if longest is not None and len(value) > longest:
            yield f"Value at '{path}' failed to satisfy constraint: Member must have length less than or equal to {longest}"
        for index, item in enumerate(value):
            yield from _pattern_problems(shape.member, item, f"{path}.{index + 1}.member")
    elif kind in ("integer", "long", "float", "double"):
        largest = shape.metadata.get("max")
        if largest is not None and value > largest:
            yield f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have value less than or equal to {largest}"
    elif kind == "map":
        for key, item in value.items():
            yield from _pattern_problems(shape.key, key, f"{path}.key")
            yield from _pattern_problems(shape.value, item, f"{path}.{key}.member")
    elif kind == "string" and isinstance(value, str):
        yield from _string_problems(shape, value, path)


def _string_problems(shape: Shape, value: str, path: str) -> Any:
    pattern = shape.metadata.get("pattern")
    if pattern and not _pattern(pattern).fullmatch(value):
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}"
    longest = shape.metadata.get("max")
    if longest is not None and len(value) > longest:
        yield f"Value '{value[:80]}' at '{path}' failed to satisfy constraint: Member must have length less than or equal to {longest}"
    if shape.enum and value not in shape.enum:
        yield f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy enum value set: [{', '.join(shape.enum)}]"


_JAVA_ASTRAL = "\\uD800\\uDC00-\\uDBFF\\uDFFF"


@cache
def _pattern(text: str) -> Any:
    # Some models write the astral planes as a range of Java's surrogate pairs, which no other engine reads.
    return regex.compile(text.replace(_JAVA_ASTRAL, "\U00010000-\U0010ffff"))


# -- records ---------------------------------------------------------------------------------------


class Records:
    """Records of one kind (``model``, ``endpoint`` ...), scoped by account and region, by name."""

    _all: ClassVar[list[Records]] = []

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._data: Any = responses.AccountRegionScopedDict()
        self.lock = threading.RLock()
        Records._all.append(self)

    def arn(self, name: str) -> str:
        """SageMaker ARNs are lower case."""
        return f"arn:aws:sagemaker:{responses.get_region()}:{responses.get_account_id()}:{self.kind}/{name.lower()}"

    def add(self, name: str, record: Request) -> None:
        """Raises ApiError (ValidationException) when the name is taken."""
        with self.lock:
            if name in self._data:
                raise validation_error(f'Cannot create already existing {self.kind} "{self.arn(name)}".')
            self._data[name] = record

    def find(self, name: str) -> Request | None:
        record: Request | None = self._data.get(name)
        return record

    def need(self, name: str) -> Request:
        """Raises ApiError (ValidationException) when there is no such record, as SageMaker answers."""
        record = self.find(name)
        if record is None:
            raise validation_error(f'Could not find {self.kind} "{self.arn(name)}".')
        return record

    def remove(self, name: str) -> Request:
        with self.lock:
            record = self.need(name)
            del self._data[name]
            return record

    def items(self) -> list[tuple[str, Request]]:
        return list(self._data.items())

    @classmethod
    def reset_all(cls) -> None:
        for records in cls._all:
            records._data._data.clear()


# -- HTTP ------------------------------------------------------------------------------------------


def to_json(value: Any) -> bytes:
    """JSON with time stamps as epoch seconds, the form of the JSON protocols."""
    return json.dumps(value, default=_encode).encode()


def _encode(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.timestamp()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def error_response(error: ApiError) -> HttpResponse:
    """An error in the form of the JSON protocols."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": error.code}
    return error.status, headers, json.dumps({"__type": error.code, "message": error.message, "Message": error.message}).encode()


def _answer(service: str, *, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> HttpResponse:
    lowered = {key.lower(): value for key, value in headers.items()}
    try:
        for owner, verb, pattern, function in _ROUTES:
            match = pattern.fullmatch(path) if owner == service and verb == method else None
            if match:
                return function(HttpRequest(method, path, lowered, body, query, match.groups()))
        name = lowered.get("x-amz-target", "").rsplit(".", 1)[-1]
        if not name:
            raise ApiError("UnknownOperationException", f"{method} {path} is not part of the embedded AWS", 404)
        try:
            request = json.loads(body or b"{}")
        except ValueError as error:
            raise ApiError("SerializationException", f"the body is not JSON: {error}") from None
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, to_json(call(service, name, request))
    except ApiError as error:
        return error_response(error)
    except Exception as error:
        log.exception("%s %s failed", service, path)
        return error_response(ApiError("InternalFailure", f"{type(error).__name__}: {error}", 500))


def install(service: str, *, scope: str | None = None) -> None:
    """Route ministack's requests of credential scope ``scope`` to the operations and routes of ``service``; one name by default."""

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> HttpResponse:
        return await asyncio.to_thread(partial(_answer, service, method=method, path=path, headers=headers, body=body, query=query))

    app.SERVICE_HANDLERS[scope or service] = handler


def paginate(items: list[Any], request: Request, key: str) -> Response:
    """``{key: [...], "NextToken"?}`` by the request's MaxResults (default 10, as SageMaker) and NextToken.

    Raises:
        ApiError: ValidationException: the token was not given for this request.
    """
    start = _page_start(request)
    size = int(request.get("MaxResults") or 10)
    response: Response = {key: items[start : start + size]}
    if start + size < len(items):
        token = {"start": start + size, "of": _asked(request)}
        response["NextToken"] = base64.urlsafe_b64encode(json.dumps(token).encode()).decode()
    return response


def _page_start(request: Request) -> int:
    if not request.get("NextToken"):
        return 0
    try:
        token = json.loads(base64.urlsafe_b64decode(str(request["NextToken"]).encode()))
        start, of = int(token["start"]), token["of"]
    except (ValueError, KeyError, TypeError):
        raise validation_error("Invalid NextToken: it was not given by this operation.") from None
    if of != _asked(request):
        raise validation_error("Invalid NextToken: it was given for other filters or another order; start without it.")
    return start


def _asked(request: Request) -> str:
    """What a list was asked for, without its pages."""
    asked = {name: value for name, value in request.items() if name not in ("NextToken", "MaxResults")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]
