"""The result of one review becomes one label, or a dead letter with its reason, however often and in whatever order
its events arrive.

Writes go from the outside in: the ground-truth line and the dead letter first, under keys that a retry repeats, and the
conditional change of the record last. A kill half-way leaves the event in its queue, and the retry finishes the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from lambdas.common.consolidation import Consolidation
from lambdas.common.ground_truth import ground_truth_key, ground_truth_line
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import Consolidated, HumanAnswer, ReviewRequest, ReviewState, UnreadableOutput, parse_review_id
from lambdas.review.collect_review.result import LoopResult, LoopStatus


class Outcome(StrEnum):
    STORED = "stored"
    UNDECIDED = "undecided"
    FAILED = "failed"
    """No answer: the request, as a new attempt, lies in the dead-letter queue."""
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Collected:
    """What became of one event; ``agreement`` only when answers were consolidated."""

    outcome: Outcome
    reason: str
    agreement: float | None = None


class OutputMissing(LookupError):
    """The event names an ``output.json`` that cannot be read yet; keep the event."""


class Store(Protocol):
    """What is needed of :class:`lambdas.common.prediction_store.PredictionStore`."""

    def get(self, prediction_id: str) -> StoredPrediction | None: ...
    def mark_dead_lettered(self, prediction_id: str, attempt: int, reason: str, *, next_attempt: int) -> bool: ...
    def store_label(
        self, prediction_id: str, consolidated: Consolidated, answers: Sequence[HumanAnswer], *, reviewed_at: str, source: str
    ) -> bool: ...


@dataclass(frozen=True)
class Ports:
    """The edges.

    ``answers`` is the review backend's reader of ``output.json``; ``read_output`` takes its URI and raises
    :class:`OutputMissing`; both raise :class:`~lambdas.common.review.UnreadableOutput`. ``write_ground_truth`` takes key and body.
    """

    store: Store
    answers: Callable[[Any], list[HumanAnswer]]
    consolidation: Consolidation
    read_output: Callable[[str], Any]
    write_ground_truth: Callable[[str, bytes], None]
    send_dead_letter: Callable[[ReviewRequest, str], None]


def collect(result: LoopResult, ports: Ports, *, now: str) -> Collected:
    """Take in one ended review.

    Args:
        now: ISO 8601 UTC. ``reviewed_at`` is the time of storing, not of answering: readers of new labels keep a
            watermark, and a label that arrives late must not lie behind it.

    Raises:
        OutputMissing: the answers are not readable yet.
    """
    named = parse_review_id(result.review_id)
    if named is None:
        return Collected(Outcome.UNKNOWN, f"human loop {result.review_id!r} was not started by this system")
    prediction_id, attempt = named
    stored = ports.store.get(prediction_id)
    if stored is None:
        return Collected(Outcome.UNKNOWN, f"no prediction {prediction_id!r}: expired, or never recorded")
    problem = _without_output(result)
    if stored.review_state is ReviewState.REVIEWED:
        if problem is None:
            _agree_with_record(stored, result, ports)
        return Collected(Outcome.DUPLICATE, "already reviewed")
    answers: list[HumanAnswer] = []
    if problem is None:
        answers, problem = _answers(str(result.output_uri), ports)
    return _dead_letter(stored, attempt, problem, ports) if problem else _store(prediction_id, answers, result, ports, now)


def _answers(output_uri: str, ports: Ports) -> tuple[list[HumanAnswer], str | None]:
    """(answers, None), or ([], why there are none). An output that cannot be read stays where it is, and its dead letter asks anew."""
    try:
        answers = ports.answers(ports.read_output(output_uri))
    except UnreadableOutput as error:
        return [], f"review Completed, but {output_uri} cannot be read: {error}"
    return answers, None if answers else "review Completed without an answer"


def _without_output(result: LoopResult) -> str | None:
    """Why there are no answers to read, or None."""
    if result.status is not LoopStatus.COMPLETED:
        return f"review {result.status.value}: {result.failure or 'no reason given'}"
    return "review Completed without an output" if result.output_uri is None else None


def _store(prediction_id: str, answers: list[HumanAnswer], result: LoopResult, ports: Ports, now: str) -> Collected:
    consolidated = ports.consolidation.consolidate(answers)
    if consolidated.label is not None:
        _write_line(prediction_id, consolidated.label, result, ports)
    if not ports.store.store_label(prediction_id, consolidated, answers, reviewed_at=now, source=f"review:{prediction_id}"):
        _agree_with_record(ports.store.get(prediction_id), result, ports)
        return Collected(Outcome.DUPLICATE, "another event stored the label in the meantime")
    outcome = Outcome.UNDECIDED if consolidated.label is None else Outcome.STORED
    return Collected(outcome, consolidated.reason, consolidated.agreement)


def _agree_with_record(stored: StoredPrediction | None, result: LoopResult, ports: Ports) -> None:
    """Of two attempts that ended at once one's label was stored: the other's line, perhaps of just before a kill, must say the same."""
    if stored is not None and stored.human_label is not None:
        _write_line(stored.prediction_id, stored.human_label, result, ports)


def _write_line(prediction_id: str, label: str, result: LoopResult, ports: Ports) -> None:
    ports.write_ground_truth(ground_truth_key(prediction_id, result.ended_at), ground_truth_line(prediction_id, label))


def _dead_letter(stored: StoredPrediction, attempt: int, reason: str, ports: Ports) -> Collected:
    if stored.attempt > attempt:
        return Collected(Outcome.DUPLICATE, f"attempt {attempt} was dealt with: attempt {stored.attempt} is recorded")
    retry = replace(stored.prediction().review_request(), attempt=attempt + 1)
    ports.send_dead_letter(retry, reason)
    ports.store.mark_dead_lettered(stored.prediction_id, attempt, reason, next_attempt=retry.attempt)
    return Collected(Outcome.FAILED, reason)
