"""What an operator hands to a labelling job, checked before people are paid for it: pure.

Source: SageMaker API reference, CreateLabelingJob (the name); developer guide, "Input manifest file" (the rows).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from contracts.text import InvalidJson, InvalidText, checked_text, json_lines, kind, normal_text, parse_json
from lambdas.common.review import PREDICTION_ID_FORM, is_prediction_id

PREDICTION_ID = "prediction-id"
"""Manifest field that ties a row to a prediction."""
SUBJECT = "subject"
"""Manifest field: whom or what the text is about."""
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_LONGEST_NAME = 63
_NAMED = 20


class InvalidInput(ValueError):
    """The execution's input cannot be used. The text says what is wrong, where, and what is allowed; it becomes the execution's cause."""


def job_name(prefix: str, name: Any) -> str:
    """``<prefix>-<name>``.

    Raises:
        InvalidInput: Ground Truth would refuse the name.
    """
    longest = _LONGEST_NAME - len(prefix) - 1
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > longest:
        raise InvalidInput(
            f"name {name!r} must have 1 to {longest} characters, letters, digits and inner hyphens (^{_NAME.pattern}$): the labelling job "
            f"is called {prefix}-<name>"
        )
    return f"{prefix}-{name}"


def check_rows(lines: Iterable[bytes], attribute: str, *, longest: int) -> int:
    """The number of texts in a manifest; ``lines`` end at ``\\n`` only.

    Args:
        attribute: the job's label attribute; no row may have it yet.
        longest: characters of a text.

    Raises:
        InvalidInput: naming the first twenty lines that cannot be used, and how many there are.
    """
    seen: dict[bytes, int] = {}
    problems: list[str] = []
    rows = wrong = 0
    for number, line in json_lines(lines):
        rows += 1
        problem = _problem(line, attribute, longest, seen, number)
        if problem is not None:
            wrong += 1
            if wrong <= _NAMED:
                problems.append(f"line {number}: {problem}")
    if wrong:
        rest = f"; and {wrong - _NAMED} more" if wrong > _NAMED else ""
        raise InvalidInput(f"{wrong} of {rows} lines of the manifest cannot be used: {'; '.join(problems)}{rest}")
    if not rows:
        raise InvalidInput('the manifest is empty: it needs a line {"source": "..."} for each text')
    return rows


def _problem(line: bytes, attribute: str, longest: int, seen: dict[bytes, int], number: int) -> str | None:
    try:
        identity = _identity(parse_json(line), attribute, longest)
    except (InvalidJson, InvalidText) as error:
        return str(error)
    first = seen.setdefault(hashlib.sha256(identity.encode()).digest(), number)
    if first == number:
        return None
    return f"asks the same as line {first}: people would be paid twice for one label; remove one of the two"


def _identity(row: Any, attribute: str, longest: int) -> str:
    """What a row asks about: its prediction, or else its text."""
    if not isinstance(row, dict):
        raise InvalidText("the row", f'must be an object such as {{"source": "..."}}, not {kind(row)}')
    if "source" not in row:
        given = ", ".join(sorted(str(name)[:40] for name in row)[:5]) or "nothing"
        raise InvalidText("source", f"is missing: a row has its text inline, 1 to {longest} characters; this one has {given}")
    text = checked_text("source", row["source"], longest=longest)
    for taken in (attribute, f"{attribute}-metadata"):
        if taken in row:
            raise InvalidText(taken, "is there already: the job writes people's label there; remove the field")
    if row.get(SUBJECT) is not None:
        checked_text(SUBJECT, row[SUBJECT])
    if PREDICTION_ID not in row:
        return f"text {normal_text(text)}"
    prediction_id = row[PREDICTION_ID]
    if not is_prediction_id(prediction_id):
        raise InvalidText(PREDICTION_ID, f"{str(prediction_id)[:80]!r} is not the id of a prediction: allowed are {PREDICTION_ID_FORM}")
    return f"prediction {prediction_id}"
