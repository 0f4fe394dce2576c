"""What a worker's page sends: the same form for Amazon A2I and Ground Truth, since both show our worker template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANSWER_FIELD = "category"
"""Name of the ``crowd-classifier`` in the worker template."""


def chosen_label(content: Any) -> str | None:
    """``{"category": {"label": "Very good"}}`` -> ``Very good``; None when the page gave anything else.

    A ``crowd-classifier`` stores the category that it shows, so this is a label's name (``lambdas.common.labels.Labels.id_of``).
    """
    field = content.get(ANSWER_FIELD) if isinstance(content, Mapping) else None
    label = field.get("label") if isinstance(field, Mapping) else None
    return label if isinstance(label, str) else None
