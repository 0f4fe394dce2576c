"""The ``output.json`` that A2I writes for a human loop that has ended: pure.

Source: A2I developer guide, "A2I output data".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lambdas.common.labels import Labels
from lambdas.common.review import HumanAnswer
from lambdas.common.worker_answer import chosen_label


class OutputMissing(LookupError):
    """The event names an ``output.json`` that cannot be read yet; keep the event."""


class UnreadableOutput(ValueError):
    """There are no answers to be found in an ``output.json``; the text says what is wrong with it. Reading it again changes nothing."""


def answers(output: Any) -> tuple[HumanAnswer, ...]:
    """Every answer, by the id of its label; one without a readable choice has no label.

    The task was made with names to show and the ids behind them, and ``inputContent`` still has both.

    Raises:
        UnreadableOutput: it is no object with a list ``humanAnswers`` (which may be missing or null).
    """
    given = (output.get("humanAnswers") or []) if isinstance(output, Mapping) else None
    if not isinstance(given, list):
        raise UnreadableOutput(f"output.json must be an object with a list of humanAnswers, not {json.dumps(output)[:80]}")
    labels = Labels.of_task(output.get("inputContent")) if isinstance(output, Mapping) else None
    return tuple(_answer(answer if isinstance(answer, Mapping) else {}, labels) for answer in given)


def _answer(answer: Mapping[str, Any], labels: Labels | None) -> HumanAnswer:
    chosen = chosen_label(answer.get("answerContent"))
    label = chosen if labels is None else labels.id_of(chosen)
    suggestion = answer.get("suggestion")
    shown = bool(suggestion) if isinstance(suggestion, Mapping) else None
    return HumanAnswer.given(answer.get("workerId"), label, answer.get("timeSpentInSeconds"), shown)
