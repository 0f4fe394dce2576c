"""Amazon A2I as the review backend: one human loop per (prediction, attempt).

Source: A2I developer guide, "Create and start a human loop" and "A2I output data".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.review import HumanAnswer, ReviewRefused, ReviewRequest, UnreadableOutput
from lambdas.common.worker_answer import chosen_label


class A2iBackend:
    """Starts human loops and reads their answers.

    Args:
        client: boto3 client ``sagemaker-a2i-runtime``.
        flow_definition_arn: the flow that asks the reviewers.
        labels: what a reviewer may choose, in the order shown.
    """

    def __init__(self, client: Any, flow_definition_arn: str, labels: Sequence[str]) -> None:
        self._client = client
        self._flow_definition_arn = flow_definition_arn
        self._labels = list(labels)

    def start(self, request: ReviewRequest) -> str:
        """Start the human loop ``<prediction_id>-<attempt>``; returns that name.

        The name makes it idempotent: A2I answers the same name and input with the loop that runs already, and the same
        name with other input (the labels changed between two tries) with a conflict, which is that loop as well.

        Raises:
            ReviewRefused: A2I finds the request invalid, and always will.
            botocore.exceptions.ClientError: anything that may pass, such as throttling or a quota; try again later.
        """
        content = {"text": request.text, "labels": self._labels, "predictionId": request.prediction_id, "attempt": request.attempt}
        try:
            self._client.start_human_loop(
                HumanLoopName=request.review_id,
                FlowDefinitionArn=self._flow_definition_arn,
                HumanLoopInput={"InputContent": json.dumps(content, ensure_ascii=False, allow_nan=False)},
            )
        except ClientError as error:
            problem = error.response["Error"]
            if problem["Code"] == "ConflictException":
                return self._running(request.review_id)
            if problem["Code"] == "ValidationException":
                raise ReviewRefused(f"A2I refuses {request.review_id}: {problem['Message']}") from error
            raise
        return request.review_id

    def _running(self, review_id: str) -> str:
        """The loop must really be there; when it is not, the lookup's error sends the request back to the queue."""
        return str(self._client.describe_human_loop(HumanLoopName=review_id)["HumanLoopName"])

    @staticmethod
    def answers(output: Any) -> list[HumanAnswer]:
        """Every answer of ``output.json``; one without a readable choice has no label.

        Raises:
            UnreadableOutput: it is no object with a list ``humanAnswers`` (which may be missing or null).
        """
        given = (output.get("humanAnswers") or []) if isinstance(output, Mapping) else None
        if not isinstance(given, list):
            raise UnreadableOutput(f"output.json must be an object with a list of humanAnswers, not {json.dumps(output)[:80]}")
        return [_answer(answer if isinstance(answer, Mapping) else {}) for answer in given]


def _answer(answer: Mapping[str, Any]) -> HumanAnswer:
    return HumanAnswer.given(answer.get("workerId"), chosen_label(answer.get("answerContent")), answer.get("timeSpentInSeconds"))
