"""Typed Lambda environment: one dataclass a function, read once at cold start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, TypeVar, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


class InvalidEnvironment(RuntimeError):
    """A variable that the stack must set is missing or has the wrong form."""


def read_environment(cls: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Fill the dataclass ``cls`` from upper-case variables: field ``table_name`` reads ``TABLE_NAME``.

    Field types may be str, int, float, bool (``true``/``false``) or ``tuple[str, ...]`` (comma separated).

    Raises:
        InvalidEnvironment: naming every variable that is missing or cannot be converted.
    """
    source = os.environ if environ is None else environ
    hints = get_type_hints(cls)
    values: dict[str, object] = {}
    problems: list[str] = []
    for item in fields(cls):
        variable = item.name.upper()
        raw = source.get(variable)
        if raw is None:
            if item.default is MISSING and item.default_factory is MISSING:
                problems.append(f"{variable} is not set")
            continue
        try:
            values[item.name] = _convert(raw, hints[item.name])
        except ValueError as error:
            problems.append(f"{variable}={raw!r}: {error}")
    if problems:
        raise InvalidEnvironment(f"{cls.__name__}: " + "; ".join(problems) + ". The function's stack sets these variables.")
    return cls(**values)


def _convert(raw: str, kind: object) -> object:
    if kind is bool:
        if raw not in ("true", "false"):
            raise ValueError("expected true or false")
        return raw == "true"
    if kind is int:
        return int(raw)
    if kind is float:
        return float(raw)
    if kind == tuple[str, ...]:
        return tuple(part for part in raw.split(",") if part)
    return raw
