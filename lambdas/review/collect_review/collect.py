"""Makes one label of the result of one review, or a dead letter with its reason. Events may arrive more than once, and in any order.

Writes go from the outside in: the ground-truth line and the dead letter first, under keys that a retry repeats, and the
conditional change of the record last. A kill half-way leaves the event in its queue, and the retry finishes the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from lambdas.common.consolidation import Consolidation
from lambdas.common.ground_truth import ground_truth_key, ground_truth_line
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import Consolidated, HumanAnswer, ReviewRequest, ReviewState, parse_review_id
from lambdas.review.port import ReviewEnded


class Outcome(StrEnum):
    STORED = "stored"
    UNDECIDED = "undecided"
    FAILED = "failed"
    """There was no answer. The request is in the dead-letter queue, as a new attempt."""
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Collected:
    """What became of one event; ``agreement`` only when answers were consolidated, and no model decided how many people were asked."""

    outcome: Outcome
    reason: str
    agreement: float | None = None


class Store(Protocol):
    """What is needed of :class:`lambdas.common.prediction_store.PredictionStore`."""

    def get(self, prediction_id: str) -> StoredPrediction | None: ...
    def mark_dead_lettered(self, prediction_id: str, attempt: int, reason: str, *, next_attempt: int) -> bool: ...
    def store_label(
        self, prediction_id: str, consolidated: Consolidated, answers: Sequence[HumanAnswer], *, reviewed_at: str, source: str
    ) -> bool: ...


@dataclass(frozen=True)
class Ports:
    """The AWS calls that :func:`collect` makes. ``write_ground_truth`` takes key and body."""

    store: Store
    consolidation_of: Callable[[ReviewEnded], Consolidation]
    write_ground_truth: Callable[[str, bytes], None]
    send_dead_letter: Callable[[ReviewRequest, str], None]


def collect(ended: ReviewEnded, ports: Ports, *, now: str) -> Collected:
    """Take in one ended review.

    Args:
        now: ISO 8601 UTC. ``reviewed_at`` is the time of storing, not of answering: readers of new labels keep a
            watermark, and a label that arrives late must not lie behind it.
    """
    named = parse_review_id(ended.review_id)
    if named is None:
        return Collected(Outcome.UNKNOWN, f"review {ended.review_id!r} was not started by this system")
    prediction_id, attempt = named
    stored = ports.store.get(prediction_id)
    if stored is None:
        return Collected(Outcome.UNKNOWN, f"no prediction {prediction_id!r}: expired, or never recorded")
    if stored.review_state is ReviewState.FORGOTTEN:
        return Collected(Outcome.UNKNOWN, f"prediction {prediction_id!r} was forgotten")
    if stored.review_state is ReviewState.REVIEWED:
        if ended.answers is not None:
            _agree_with_record(stored, ended, ports)
        return Collected(Outcome.DUPLICATE, "already reviewed")
    if not ended.answers:
        why = " without an answer" if ended.failure is None else f": {ended.failure}"
        return _dead_letter(stored, attempt, f"review {ended.status.value}{why}", ports)
    return _store(prediction_id, ended.answers, ended, ports, now)


def _store(prediction_id: str, answers: Sequence[HumanAnswer], ended: ReviewEnded, ports: Ports, now: str) -> Collected:
    consolidated = ports.consolidation_of(ended).consolidate(answers)
    judges = ended.prior is None
    if consolidated.label is not None and judges:
        _write_line(prediction_id, consolidated.label, ended, ports)
    if not ports.store.store_label(prediction_id, consolidated, answers, reviewed_at=now, source=f"review:{prediction_id}"):
        _agree_with_record(ports.store.get(prediction_id), ended, ports)
        return Collected(Outcome.DUPLICATE, "another event stored the label in the meantime")
    outcome = Outcome.UNDECIDED if consolidated.label is None else Outcome.STORED
    return Collected(outcome, consolidated.reason, consolidated.agreement if judges else None)


def _agree_with_record(stored: StoredPrediction | None, ended: ReviewEnded, ports: Ports) -> None:
    """Two attempts may end at once, and only one label is stored. The other attempt may have written its line already: make it agree."""
    if stored is not None and stored.human_label is not None and ended.prior is None:
        _write_line(stored.prediction_id, stored.human_label, ended, ports)


def _write_line(prediction_id: str, label: str, ended: ReviewEnded, ports: Ports) -> None:
    ports.write_ground_truth(ground_truth_key(prediction_id, ended.ended_at), ground_truth_line(prediction_id, label))


def _dead_letter(stored: StoredPrediction, attempt: int, reason: str, ports: Ports) -> Collected:
    if stored.attempt > attempt:
        return Collected(Outcome.DUPLICATE, f"attempt {attempt} was dealt with: attempt {stored.attempt} is recorded")
    retry = replace(stored.prediction().review_request(), attempt=attempt + 1)
    ports.send_dead_letter(retry, reason)
    ports.store.mark_dead_lettered(stored.prediction_id, attempt, reason, next_attempt=retry.attempt)
    return Collected(Outcome.FAILED, reason)
