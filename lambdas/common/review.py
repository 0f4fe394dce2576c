"""What is asked of people and what comes back: the types that cross the review port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class ReviewState(StrEnum):
    """Where a prediction stands. ``REQUESTED``, ``IN_REVIEW``: open. The others are final, but for
    ``DEAD_LETTERED``, which a redrive of the dead-letter queue reopens."""

    NOT_REQUIRED = "not_required"
    REQUESTED = "requested"
    IN_REVIEW = "in_review"
    REVIEWED = "reviewed"
    DEAD_LETTERED = "dead_lettered"


class ReviewReason(StrEnum):
    LOW_CONFIDENCE = "low_confidence"
    AUDIT_SAMPLE = "audit_sample"


@dataclass(frozen=True)
class ReviewRequest:
    """One message of the review queue (JSON object with these keys)."""

    prediction_id: str
    text: str
    predicted_label: str
    confidence: float
    reason: ReviewReason
    attempt: int = 1


@dataclass(frozen=True)
class HumanAnswer:
    """One person's answer to one task. ``label`` is None when the page gave no usable answer."""

    worker_id: str
    label: str | None
    seconds: float


@dataclass(frozen=True)
class Consolidated:
    """All answers of one review as one label. ``label`` is None when undecided, and ``reason`` says why."""

    label: str | None
    votes: Mapping[str, int]
    agreement: float
    reason: str


class ReviewBackend(Protocol):
    """The port: how people are asked. Adapter today: :class:`lambdas.common.a2i.A2iBackend`."""

    def start(self, request: ReviewRequest) -> str:
        """Ask people; returns the review's id. Idempotent per (prediction_id, attempt).

        Raises:
            ReviewRefused: the backend will never take this request (bad input); do not retry.
        """
        ...

    def answers(self, output: Mapping[str, Any]) -> list[HumanAnswer]:
        """Parse the documented ``output.json`` of a finished review."""
        ...


class ReviewRefused(Exception):
    """The backend refuses the request for good; the text says why."""
