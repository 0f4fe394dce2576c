"""One row of a labelling job's manifest becomes what the worker page shows: the same input as in a review.

Source: SageMaker developer guide, "Pre-annotation Lambda function".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.text import InvalidText, checked_text, kind
from lambdas.common.labels import Labels


class UnusableRow(ValueError):
    """The manifest row has no text to show; Ground Truth records the reason with the row."""


def worker_task(event: Mapping[str, Any], labels: Labels) -> dict[str, Any]:
    """Pre-annotation request -> response.

    Raises:
        UnusableRow: the row has no inline ``source``, or one that nobody can read.
    """
    row = event.get("dataObject")
    if not isinstance(row, Mapping) or "source" not in row:
        given = ", ".join(sorted(map(str, row))) if isinstance(row, Mapping) else kind(row)
        raise UnusableRow(f'a row needs its text inline as {{"source": "..."}}, but has {given or "nothing"}')
    try:
        text = checked_text("source", row["source"])
    except InvalidText as error:
        raise UnusableRow(str(error)) from None
    return {"taskInput": {"text": text, **labels.task_fields()}, "isHumanAnnotationRequired": True}
