"""Amazon A2I as the review backend: one human loop per (prediction, attempt).

Source: A2I developer guide, "Create and start a human loop".
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.clients import client
from lambdas.common.labels import Labels
from lambdas.common.review import ReviewRequest
from lambdas.review.port import ReviewRefused

LONGEST_NAME = 63
"""Characters of a human loop's name (StartHumanLoop, ``HumanLoopName``). The name is the review id."""


def starter(target: str, labels: Labels) -> A2iStarter:
    """``target`` is the ARN of the flow definition."""
    return A2iStarter(client("sagemaker-a2i-runtime"), target, labels)


class A2iStarter:
    """Starts human loops.

    Args:
        runtime: boto3 client ``sagemaker-a2i-runtime``.
        flow_definition_arn: the flow that asks the reviewers.
        labels: what a reviewer may choose. The loop's input keeps ids and names, so its answers get ids even if labels change meanwhile.
    """

    def __init__(self, runtime: Any, flow_definition_arn: str, labels: Labels) -> None:
        self._runtime = runtime
        self._flow_definition_arn = flow_definition_arn
        self._labels = labels

    def start(self, request: ReviewRequest, *, in_experiment: bool = False) -> None:  # noqa: ARG002  (the flow asks a fixed number)
        """Start the human loop ``<prediction_id>-<attempt>``.

        The name makes it idempotent: A2I answers the same name and input with the loop that runs already, and the same
        name with other input (the labels changed between two tries) with a conflict, which is that loop as well.

        Raises:
            ReviewRefused: the name is too long, or A2I finds the request invalid, and always will.
            botocore.exceptions.ClientError: anything that may pass, such as throttling or a quota; try again later.
        """
        name = request.review_id
        if len(name) > LONGEST_NAME:
            raise ReviewRefused(f"A2I takes no review id of more than {LONGEST_NAME} characters: {name!r}; shorten the prediction's id")
        content = {
            "text": request.text,
            **self._labels.task_fields(),
            "predictionId": request.prediction_id,
            "attempt": request.attempt,
        }
        try:
            self._runtime.start_human_loop(
                HumanLoopName=name,
                FlowDefinitionArn=self._flow_definition_arn,
                HumanLoopInput={"InputContent": json.dumps(content, ensure_ascii=False, allow_nan=False)},
            )
        except ClientError as error:
            problem = error.response["Error"]
            if problem["Code"] == "ValidationException":
                raise ReviewRefused(f"A2I refuses {name}: {problem['Message']}") from error
            if problem["Code"] != "ConflictException":
                raise
            # The loop must really be there; when it is not, the lookup's error sends the request back to the queue.
            self._runtime.describe_human_loop(HumanLoopName=name)
