"""All workers' answers to each text of a labelling job become one label a text, by the rule that reviews use.

Source: SageMaker developer guide, "Annotation-consolidation Lambda function".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from lambdas.common.a2i import chosen_label
from lambdas.common.consolidation import Consolidation
from lambdas.common.review import HumanAnswer


def consolidate_objects(payload: Iterable[Mapping[str, Any]], attribute: str, consolidation: Consolidation) -> list[dict[str, Any]]:
    """The payload file's objects -> the response list.

    Each object's content is ``{attribute: {"label"|null, "votes", "agreement", "reason", "answers"}}``: an undecided text
    is in the output manifest too, with its reason, so that the number of rows never shrinks silently.
    """
    response = []
    for item in payload:
        answers = [_answer(annotation) for annotation in item["annotations"]]
        consolidated = consolidation.consolidate(answers)
        content = {
            "label": consolidated.label,
            "votes": dict(consolidated.votes),
            "agreement": round(consolidated.agreement, 6),
            "reason": consolidated.reason,
            "answers": [{"worker_id": answer.worker_id, "label": answer.label} for answer in answers],
        }
        response.append({"datasetObjectId": item["datasetObjectId"], "consolidatedAnnotation": {"content": {attribute: content}}})
    return response


def _answer(annotation: Mapping[str, Any]) -> HumanAnswer:
    """Ground Truth gives no time per annotation, so ``seconds`` is 0."""
    try:
        content = json.loads(annotation["annotationData"]["content"])
    except ValueError:
        content = None
    return HumanAnswer(worker_id=str(annotation["workerId"]), label=chosen_label(content), seconds=0.0)
