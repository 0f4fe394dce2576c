"""Whether the page shows the model's label beside a text, to whom, and which.

The draw is by chance for each person and task, so that people who see the label can be compared with people who do not. It follows from the
ids, so it is the same whenever it is made, and nothing needs to be kept. The task's input has the label and the share, and never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from lambdas.common.worker_answer import ANSWER_FIELD

SUGGESTION = "suggestion"
"""Field of a task's input: ``{"label": <as people see it>, "share"}``. Tasks without it never show a label."""


def task_fields(label: str, share: float) -> dict[str, Any]:
    """What a task's input says of it; nothing when nobody is to see the label."""
    return {SUGGESTION: {"label": label, "share": share}} if share > 0 else {}


def suggestion_for(task_input: Mapping[str, Any], task_id: str, worker_id: str) -> dict[str, str] | None:
    """Classifier's name -> category, empty when this person does not see the label; None: nobody does."""
    given = task_input.get(SUGGESTION)
    if given is None:
        return None
    digest = hashlib.sha256(f"suggestion:{task_id}:{worker_id}".encode()).digest()
    shown = int.from_bytes(digest[:8], "big") / 2**64 < given["share"]
    return {ANSWER_FIELD: given["label"]} if shown else {}
