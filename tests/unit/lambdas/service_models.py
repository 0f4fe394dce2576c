"""Requests held against botocore's service models, including the string patterns that botocore itself ignores."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import botocore.session
import botocore.validate
from botocore.model import Shape


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


def problems(service: str, operation: str, request: dict[str, Any]) -> list[str]:
    """Everything that the service's model objects to; empty when the request is valid."""
    shape = _session().get_service_model(service).operation_model(operation).input_shape
    report = botocore.validate.ParamValidator().validate(request, shape)
    return [report.generate_report()] if report.has_errors() else list(_patterns(shape, request, operation))


def _patterns(shape: Shape, value: Any, path: str) -> Any:
    if shape.type_name == "structure":
        for key, item in value.items():
            yield from _patterns(shape.members[key], item, f"{path}.{key}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from _patterns(shape.member, item, f"{path}[{index}]")
    elif shape.type_name == "string":
        pattern, longest = shape.metadata.get("pattern"), shape.metadata.get("max")
        if pattern and not re.fullmatch(pattern, value):
            yield f"{path}: {value!r} does not match {pattern}"
        if longest and len(value) > longest:
            yield f"{path}: {len(value)} characters, at most {longest}"
    elif shape.type_name == "integer" and not shape.metadata.get("min", value) <= value <= shape.metadata.get("max", value):
        yield f"{path}: {value} is out of bounds"
