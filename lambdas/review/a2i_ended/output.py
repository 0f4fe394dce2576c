"""The ``output.json`` that A2I writes for a human loop that has ended: pure.

Source: A2I developer guide, "A2I output data".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lambdas.common.review import HumanAnswer
from lambdas.common.worker_answer import chosen_label


class OutputMissing(LookupError):
    """The event names an ``output.json`` that cannot be read yet; keep the event."""


class UnreadableOutput(ValueError):
    """There are no answers to be found in an ``output.json``; the text says what is wrong with it. Reading it again changes nothing."""


def answers(output: Any) -> tuple[HumanAnswer, ...]:
    """Every answer; one without a readable choice has no label.

    Raises:
        UnreadableOutput: it is no object with a list ``humanAnswers`` (which may be missing or null).
    """
    given = (output.get("humanAnswers") or []) if isinstance(output, Mapping) else None
    if not isinstance(given, list):
        raise UnreadableOutput(f"output.json must be an object with a list of humanAnswers, not {json.dumps(output)[:80]}")
    return tuple(_answer(answer if isinstance(answer, Mapping) else {}) for answer in given)


def _answer(answer: Mapping[str, Any]) -> HumanAnswer:
    return HumanAnswer.given(answer.get("workerId"), chosen_label(answer.get("answerContent")), answer.get("timeSpentInSeconds"))
