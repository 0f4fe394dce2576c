"""One review request becomes one running review, or a dead letter with its reason; nothing in between.

The order of the writes is what makes a kill harmless: the record exists before the review starts, the review's id
follows from the request, and the state changes last.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from lambdas.common.predictions import Forgotten, Prediction, StoredPrediction
from lambdas.common.review import ReviewReason, ReviewRequest, ReviewState
from lambdas.review.port import ReviewRefused, ReviewStarter


class Outcome(StrEnum):
    STARTED = "started"
    DROPPED = "dropped"
    """Already reviewed, already running, forgotten, or a newer attempt has been made."""
    WAITS = "waits"
    """For a place in the daily budget: `reconcile` sends the request again when it is chosen."""
    REFUSED = "refused"
    """The backend will never accept the request, so it is in the dead-letter queue."""


class UnknownPrediction(LookupError):
    """There is no record of the prediction, and the request does not carry one."""


class Store(Protocol):
    """What is needed of :class:`lambdas.common.prediction_store.PredictionStore`."""

    def get(self, prediction_id: str) -> StoredPrediction | None: ...
    def put(self, prediction: Prediction) -> bool: ...
    def forget(self, prediction_id: str, forgotten: Forgotten) -> None: ...
    def forgotten(self, subject: str) -> Forgotten | None: ...
    def mark_waiting(self, prediction_id: str) -> bool: ...
    def mark_in_review(self, prediction_id: str, review_id: str, attempt: int, *, asked_at: str) -> bool: ...
    def mark_dead_lettered(self, prediction_id: str, attempt: int, reason: str, *, next_attempt: int) -> bool: ...


def start(
    request: ReviewRequest,
    *,
    store: Store,
    starter: ReviewStarter,
    send_dead_letter: Callable[[ReviewRequest, str], None],
    now: str,
    budgeted: bool = False,
) -> tuple[Outcome, str]:
    """Start the review that ``request`` asks for; returns what happened and why.

    Args:
        send_dead_letter: puts a request into the dead-letter queue, with the reason.
        now: ISO 8601 UTC; the backend's time limit counts from here.
        budgeted: there is a daily budget.

    Raises:
        UnknownPrediction: keep the message; the record may still come.
        Exception: whatever the starter or the store raised that may pass; keep the message.
    """
    stored = store.get(request.prediction_id) or _record(request, store)
    superseded = _superseded(request, stored) or _forgotten(stored, store)
    if superseded:
        return Outcome.DROPPED, superseded
    if budgeted and _needs_a_place(request, stored) and _waits(stored, store):
        return Outcome.WAITS, "for a place in the daily budget"
    try:
        starter.start(request, in_experiment=stored.experiment is not None)
    except ReviewRefused as refusal:
        retry = request.again()
        send_dead_letter(retry, str(refusal))
        store.mark_dead_lettered(request.prediction_id, request.attempt, str(refusal), next_attempt=retry.attempt)
        return Outcome.REFUSED, str(refusal)
    if store.mark_in_review(request.prediction_id, request.review_id, request.attempt, asked_at=now):
        return Outcome.STARTED, request.review_id
    return Outcome.STARTED, f"{request.review_id} ended before it was recorded as started"


def give_up(request: ReviewRequest, reason: str, store: Store) -> bool:
    """The queue is about to move the message to the dead letters: let the record say so, at the message's own attempt."""
    return store.mark_dead_lettered(request.prediction_id, request.attempt, reason, next_attempt=request.attempt)


def _record(request: ReviewRequest, store: Store) -> StoredPrediction:
    """Write the record that ``predict`` could not write, from what the request carries."""
    prediction = Prediction.of_request(request)
    if prediction is None:
        raise UnknownPrediction(f"prediction {request.prediction_id} has no record, and its request carries no origin")
    store.put(prediction)
    stored = store.get(request.prediction_id)
    if stored is None:
        raise UnknownPrediction(f"prediction {request.prediction_id} was recorded and is gone again")
    return stored


def _forgotten(stored: StoredPrediction, store: Store) -> str | None:
    """Why nobody is asked about somebody who was forgotten; None where nobody was. The record goes again.

    `labels forget` writes first that the subject is forgotten, and then looks for records. So a record that a late message has written is
    either found there, or it is found here.
    """
    forgotten = None if stored.subject is None else store.forgotten(stored.subject)
    if forgotten is None or not forgotten.covers(stored.created_at):
        return None
    store.forget(stored.prediction_id, forgotten)
    return "its subject was forgotten"


def _needs_a_place(request: ReviewRequest, stored: StoredPrediction) -> bool:
    """Whether the request has come before `reconcile` chose its text: `predict` queues what it could not write, and a budget may be new.
    Later attempts had a place already."""
    of_the_model = request.reason is ReviewReason.LOW_CONFIDENCE and stored.review_reason == ReviewReason.LOW_CONFIDENCE
    nobody_asked = stored.review_state in (ReviewState.REQUESTED, ReviewState.WAITING)
    return of_the_model and request.attempt == 1 and nobody_asked and stored.chosen_at is None


def _waits(stored: StoredPrediction, store: Store) -> bool:
    return stored.review_state is ReviewState.WAITING or store.mark_waiting(stored.prediction_id)


def _superseded(request: ReviewRequest, stored: StoredPrediction) -> str | None:
    """Why there is nothing to start, or None."""
    if stored.review_state is ReviewState.REVIEWED:
        return "already reviewed"
    if stored.review_state is ReviewState.FORGOTTEN:
        return "forgotten"
    if stored.attempt > request.attempt:
        return f"attempt {stored.attempt} has been made since"
    if stored.review_state is ReviewState.IN_REVIEW and stored.attempt == request.attempt:
        return "already in review"
    return None
