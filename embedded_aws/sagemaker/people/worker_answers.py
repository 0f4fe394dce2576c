"""How SageMaker writes workers' answers down, in A2I's ``output.json`` and in Ground Truth's worker responses.

Source: SageMaker developer guide, "Amazon A2I Output Data" and "Output Data" of labelling jobs.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from embedded_aws.sagemaker.people.task_queue import Answer


def timestamp(epoch_seconds: float) -> str:
    """``2020-12-28T18:59:15.191Z``"""
    return dt.datetime.fromtimestamp(epoch_seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer_document(answer: Answer) -> dict[str, Any]:
    """One entry of ``humanAnswers`` (A2I) or ``answers`` (Ground Truth)."""
    return {
        "acceptanceTime": timestamp(answer.accepted_at),
        "answerContent": dict(answer.content),
        "submissionTime": timestamp(answer.submitted_at),
        "timeSpentInSeconds": round(answer.submitted_at - answer.accepted_at, 3),
        "workerId": answer.worker.worker_id,
        "workerMetadata": {"identityData": dict(answer.worker.identity)},
    }
