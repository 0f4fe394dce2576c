"""All workers' answers to each text of a labelling job become one label a text, by the rule that reviews use.

Source: SageMaker developer guide, "Annotation-consolidation Lambda function".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.text import InvalidJson, kind, parse_json
from lambdas.common.consolidation import Consolidation
from lambdas.common.labels import Labels
from lambdas.common.review import HumanAnswer
from lambdas.common.worker_answer import chosen_label


class UnusablePayload(ValueError):
    """Ground Truth's payload file is no list of objects; the text says what it is. The job records it with every object of the batch."""


def consolidate_objects(payload: Any, attribute: str, labels: Labels, consolidation: Consolidation) -> list[dict[str, Any]]:
    """The payload file's objects -> the response list.

    Each object's content is ``{attribute: {"label"|null, "votes", "agreement", "reason", "answers"}}``: an undecided text
    is in the output manifest too, with its reason, so that the number of rows never shrinks silently. An answer that cannot be read
    counts as one without a label; it costs the batch's other answers nothing.

    Args:
        labels: what people chose from. They saw names; labels and votes are ids.

    Raises:
        UnusablePayload: not a list of objects with a ``datasetObjectId``.
    """
    if not isinstance(payload, list):
        raise UnusablePayload(f"the payload must be a list of objects, not {kind(payload)}")
    response = []
    for number, item in enumerate(payload):
        if not isinstance(item, Mapping) or not isinstance(item.get("datasetObjectId"), str):
            raise UnusablePayload(f"entry {number} of the payload has no datasetObjectId: {json.dumps(item)[:80]}")
        annotations = item.get("annotations")
        answers = [_answer(annotation, labels) for annotation in annotations] if isinstance(annotations, list) else []
        content = {attribute: consolidated_content(answers, consolidation)}
        response.append({"datasetObjectId": item["datasetObjectId"], "consolidatedAnnotation": {"content": content}})
    return response


def consolidated_content(answers: Sequence[HumanAnswer], consolidation: Consolidation) -> dict[str, Any]:
    """``{"label"|null, "votes", "agreement", "reason", "answers"}``: what the output manifest says of one text."""
    consolidated = consolidation.consolidate(answers)
    return {
        "label": consolidated.label,
        "votes": dict(consolidated.votes),
        "agreement": round(consolidated.agreement, 6),
        "reason": consolidated.reason,
        "answers": [{"worker_id": answer.worker_id, "label": answer.label} for answer in answers],
    }


def _answer(annotation: Any, labels: Labels) -> HumanAnswer:
    """Ground Truth gives no time per annotation, so ``seconds`` is 0."""
    given = annotation if isinstance(annotation, Mapping) else {}
    data = given.get("annotationData")
    content = data.get("content") if isinstance(data, Mapping) else None
    try:
        chosen = chosen_label(parse_json(content)) if isinstance(content, str) else None
    except InvalidJson:
        chosen = None
    return HumanAnswer.given(given.get("workerId"), labels.id_of(chosen))
