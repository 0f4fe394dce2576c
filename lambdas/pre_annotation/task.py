"""One row of a labelling job's manifest becomes what the worker page shows: the same input as in a review.

Source: SageMaker developer guide, "Pre-annotation Lambda function".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class UnusableRow(ValueError):
    """The manifest row has no text to show; Ground Truth records the reason with the row."""


def worker_task(event: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Pre-annotation request -> response.

    Raises:
        UnusableRow: the row has no inline ``source``, or an empty one.
    """
    row = event["dataObject"]
    text = row.get("source")
    if not isinstance(text, str) or not text.strip():
        raise UnusableRow(f'a row needs its text inline as {{"source": "..."}}, but has {", ".join(sorted(row)) or "nothing"}')
    return {"taskInput": {"text": text, "labels": list(labels)}, "isHumanAnnotationRequired": True}
