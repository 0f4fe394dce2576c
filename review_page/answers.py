"""Workers and their answers, and how SageMaker writes these down: in A2I's ``output.json`` and in Ground Truth's worker responses.

Source: SageMaker developer guide, "Amazon A2I Output Data" and "Output Data" of labelling jobs.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Worker:
    """``worker_id`` is SageMaker's own id; ``identity`` is ``identityData`` of the worker's answers."""

    worker_id: str
    identity: Mapping[str, str]
    name: str = field(default="", compare=False)
    """The name that the lead reads. No file holds it."""


@dataclass(frozen=True)
class Answer:
    """One worker's answer; times in epoch seconds."""

    worker: Worker
    content: Mapping[str, Any]
    accepted_at: float
    submitted_at: float
    suggestion: Mapping[str, str] | None = None
    """What the page showed as the model's suggestion (classifier's name -> category); empty: nothing was. None where none is ever shown."""


def timestamp(epoch_seconds: float) -> str:
    """``2020-12-28T18:59:15.191Z``"""
    return dt.datetime.fromtimestamp(epoch_seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answer_document(answer: Answer) -> dict[str, Any]:
    """One entry of ``humanAnswers`` (A2I) or ``answers`` (Ground Truth); ``suggestion``, which they do not have, is ours."""
    shown = {} if answer.suggestion is None else {"suggestion": dict(answer.suggestion)}
    return {
        "acceptanceTime": timestamp(answer.accepted_at),
        "answerContent": dict(answer.content),
        "submissionTime": timestamp(answer.submitted_at),
        "timeSpentInSeconds": round(answer.submitted_at - answer.accepted_at, 3),
        "workerId": answer.worker.worker_id,
        "workerMetadata": {"identityData": dict(answer.worker.identity)},
        **shown,
    }
