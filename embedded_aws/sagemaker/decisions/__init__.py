"""What the embedded AWS does with every member of every Create request: honours it, may ignore it, or refuses it by name.

A property that is dropped without a word would make a local run prove less than it seems to. ``TABLES`` has one table per operation, of
botocore's member names; a test walks botocore's shapes and fails for a member without a decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from embedded_aws.sagemaker.decisions import hosting, jobs, people
from embedded_aws.sagemaker.decisions.kinds import BY_THE_OPERATION, HONOURED, Decision, Handled, Ignored, Only, Refused, Table

__all__ = ["BY_THE_OPERATION", "HONOURED", "TABLES", "Decision", "Handled", "Ignored", "Only", "Refused", "Table", "problems"]

TABLES: dict[str, Table] = {**jobs.TABLES, **hosting.TABLES, **people.TABLES}


def problems(operation: str, request: Mapping[str, Any]) -> list[str]:
    """Why a request is refused: one sentence per member that is not emulated; none for other operations."""
    table = TABLES.get(operation)
    return list(_problems(table, request, "")) if table is not None else []


def _problems(table: Table, value: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, given in value.items():
        path = f"{prefix}{name}"
        decision = table.get(name)
        if given is None or decision is None or isinstance(decision, Handled | Ignored):
            continue
        if isinstance(decision, Refused):
            yield f"{path} is not emulated: {decision}"
        elif isinstance(decision, Only):
            if not decision.allows(given):
                yield f"{path} {given!r} is not emulated: {decision.said}"
        else:
            rows = given if isinstance(given, list) else [given]
            for index, row in enumerate(rows, 1):
                if isinstance(row, Mapping):
                    yield from _problems(decision, row, f"{path}{f'.{index}' if isinstance(given, list) else ''}.")
