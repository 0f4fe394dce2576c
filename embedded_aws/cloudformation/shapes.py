"""Converts a template's values to an API's. A template may have "1" for 1 and "true" for True."""

from __future__ import annotations

from typing import Any

from botocore.model import Shape

_INTEGERS, _FLOATS, _BOOLEANS = ("integer", "long"), ("float", "double"), {"true": True, "false": False}


def coerce(shape: Shape, value: Any) -> Any:
    """``value`` with scalars in the types of a botocore shape.

    What does not fit, and members that the shape does not know, stay as they are: the service's own validation
    names them.
    """
    if isinstance(value, dict):
        return _coerce_members(shape, value)
    if isinstance(value, list):
        return [coerce(shape.member, item) for item in value] if shape.type_name == "list" else value
    return _scalar(shape.type_name, value)


def _coerce_members(shape: Shape, value: dict[str, Any]) -> dict[str, Any]:
    if shape.type_name == "map":
        return {key: coerce(shape.value, item) for key, item in value.items()}
    members = shape.members if shape.type_name == "structure" else {}
    return {key: coerce(members[key], item) if key in members else item for key, item in value.items()}


def _scalar(kind: str, value: Any) -> Any:
    if isinstance(value, str):
        return _from_text(kind, value)
    if kind == "string" and isinstance(value, bool):
        return "true" if value else "false"
    if kind == "string" and isinstance(value, int | float):
        return str(value)
    if kind in _FLOATS and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def _from_text(kind: str, text: str) -> Any:
    if kind == "boolean":
        return _BOOLEANS.get(text.lower(), text)
    if kind in _INTEGERS + _FLOATS:
        try:
            return int(text) if kind in _INTEGERS else float(text)
        except ValueError:
            return text
    return text
