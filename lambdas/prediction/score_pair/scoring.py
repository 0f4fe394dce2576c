"""One prediction of the running experiment, scored by the other variant too, exactly once however often its record comes.

The order of the writes makes a kill harmless. Asking the other variant changes nothing. One transaction then writes the pair, its count,
the mark that this prediction is dealt with, and, where people are to be asked, the change of the prediction's own record to
``requested``. The request goes to the review queue last: if it does not, the record that comes again sends it, and so does the reconciler.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from contracts.shared_words import CHALLENGER, CHAMPION, VARIANTS
from lambdas.common.experiment import Experiment
from lambdas.common.pairs import Missed
from lambdas.common.predictions import InvalidPrediction, StoredPrediction
from lambdas.common.review import ReviewReason, ReviewRequest, ReviewState

_DRAWS = 2**32
_NOBODY_ASKED = (ReviewState.NOT_REQUIRED, ReviewState.WAITING)
"""A text that waits for a place in the daily budget is asked about as a pair: the judge must not depend on whether it is chosen."""
_MOST_CHANGES = 3
"""A review leaves each of these states once, so another reading always decides."""


class Outcome(StrEnum):
    NOT_CHOSEN = "not_chosen"
    AGREED = "agreed"
    DIFFER = "differ"
    DUPLICATE = "duplicate"
    MISSED = "missed"


@dataclass(frozen=True)
class Answer:
    """What one model said of the text."""

    label: str
    confidence: float
    model_version: str


class CannotAnswer(Exception):
    """The other variant will not answer this text, whoever asks again. ``why`` is what is counted."""

    def __init__(self, why: Missed, reason: str) -> None:
        super().__init__(reason)
        self.why = why


class StateChanged(Exception):
    """The prediction's review moved on between reading and writing: read it again."""


@dataclass(frozen=True)
class Pair:
    """Both answers to the text of one prediction.

    Attributes:
        ask: people are asked about it because of this pair, on ``day`` (UTC, yyyy-mm-dd).
    """

    prediction: StoredPrediction
    experiment_id: str
    champion: Answer
    challenger: Answer
    ask: bool
    day: str

    @property
    def outcome(self) -> Outcome:
        return Outcome.AGREED if self.champion.label == self.challenger.label else Outcome.DIFFER


class Table(Protocol):
    """What is needed of :class:`lambdas.prediction.score_pair.table.PairTable`."""

    def outcome(self, experiment_id: str, prediction_id: str) -> str | None: ...
    def asked_on(self, experiment_id: str, day: str) -> int: ...
    def write(self, pair: Pair) -> bool: ...
    def miss(self, experiment_id: str, prediction_id: str, why: Missed, expires_at: int) -> bool: ...


@dataclass(frozen=True)
class Ports:
    """The edges.

    Attributes:
        record: prediction id -> its record as it is now, or None.
        ask_model: (variant, prediction) -> its answer. Raises :class:`CannotAnswer`, and anything else that may pass.
        ask_people: sends a review request.
    """

    table: Table
    record: Callable[[str], StoredPrediction | None]
    ask_model: Callable[[str, StoredPrediction], Answer]
    ask_people: Callable[[ReviewRequest], None]


@dataclass(frozen=True)
class Limits:
    """``rollout.paired_share`` and ``rollout.reviews_a_day`` of the settings."""

    paired_share: float
    reviews_a_day: int


def is_chosen(prediction_id: str, share: float) -> bool:
    """Whether a prediction is among the ``share`` that both variants score: a hash of its id, so every retry decides alike."""
    draw = int.from_bytes(hashlib.sha256(f"pair {prediction_id}".encode()).digest()[:4], "big")
    return draw < share * _DRAWS


def score(prediction: StoredPrediction, experiment: Experiment | None, limits: Limits, ports: Ports, *, today: str) -> Outcome:
    """Pair one prediction, if it belongs to an experiment and is chosen.

    Whether it is paired is decided before anybody knows if the labels differ, so what is counted is a fair sample. That is why a spent
    budget stops agreements too. Predictions that are scored at the same moment may exceed the budget, one for each shard of the stream.

    Args:
        experiment: the one that runs now.
        today: UTC, yyyy-mm-dd.

    Raises:
        Exception: what may pass; nothing is written, or all of it, and the record must come again.
    """
    belongs_to, name, table = prediction.experiment, prediction.prediction_id, ports.table
    if belongs_to is None or not is_chosen(name, limits.paired_share):
        return Outcome.NOT_CHOSEN
    outcome = table.outcome(belongs_to, name)
    if outcome is not None:
        if outcome == Outcome.DIFFER:
            _ask_again(name, ports)
        return Outcome.DUPLICATE
    try:
        answered, other = _variants(prediction, experiment)
        given = _given(prediction)
        _require_model(answered, given, experiment)
        if table.asked_on(belongs_to, today) >= limits.reviews_a_day:
            raise CannotAnswer(Missed.OVER_BUDGET, f"the {limits.reviews_a_day} reviews of {today} are spent")
        asked = ports.ask_model(other, prediction)
        _require_model(other, asked, experiment)
    except InvalidPrediction:
        return _miss(prediction, belongs_to, Missed.UNUSABLE, table)
    except CannotAnswer as problem:
        return _miss(prediction, belongs_to, problem.why, table)
    return _write(prediction, belongs_to, {answered: given, other: asked}, ports, today)


def _variants(prediction: StoredPrediction, experiment: Experiment | None) -> tuple[str, str]:
    """The variant that answered, and the other one."""
    if experiment is None or experiment.id != prediction.experiment:
        raise CannotAnswer(Missed.LATE, f"experiment {prediction.experiment} is over")
    answered = prediction.given("variant", prediction.variant)
    if answered not in VARIANTS:
        raise InvalidPrediction(prediction.prediction_id, "variant", f"{answered!r} is unknown")
    return answered, CHAMPION if answered == CHALLENGER else CHALLENGER


def _given(prediction: StoredPrediction) -> Answer:
    return Answer(
        prediction.given("label", prediction.label),
        prediction.given("confidence", prediction.confidence),
        prediction.given("model_version", prediction.model_version),
    )


def _require_model(variant: str, answer: Answer, experiment: Experiment | None) -> None:
    """While fleets change, a variant may still run the model before, or already the next one."""
    wanted = None if experiment is None else {CHAMPION: experiment.champion, CHALLENGER: experiment.challenger}[variant]
    if answer.model_version != wanted:
        raise CannotAnswer(Missed.GONE, f"{variant} ran {answer.model_version}, not {wanted}")


def _write(prediction: StoredPrediction, experiment_id: str, answers: dict[str, Answer], ports: Ports, today: str) -> Outcome:
    pair = Pair(prediction, experiment_id, answers[CHAMPION], answers[CHALLENGER], ask=False, day=today)
    if pair.outcome is Outcome.AGREED:
        return Outcome.AGREED if ports.table.write(pair) else Outcome.DUPLICATE
    for _ in range(_MOST_CHANGES):
        stored = ports.record(prediction.prediction_id)
        ask = stored is not None and stored.review_state in _NOBODY_ASKED
        try:
            if not ports.table.write(replace(pair, ask=ask)):
                return Outcome.DUPLICATE
        except StateChanged:
            continue
        if stored is not None and ask:
            _ask_people(stored, ports)
        return Outcome.DIFFER
    raise StateChanged(f"the review of {prediction.prediction_id} did not hold still")


def _ask_again(prediction_id: str, ports: Ports) -> None:
    """The request of a pair may have been lost on its way to the queue. Sending it twice changes nothing."""
    stored = ports.record(prediction_id)
    if stored is not None and stored.review_state is ReviewState.REQUESTED and stored.review_reason == ReviewReason.PAIR:
        _ask_people(stored, ports)


def _ask_people(stored: StoredPrediction, ports: Ports) -> None:
    ports.ask_people(replace(stored.prediction(), review_reason=ReviewReason.PAIR.value).review_request())


def _miss(prediction: StoredPrediction, experiment_id: str, why: Missed, table: Table) -> Outcome:
    counted = table.miss(experiment_id, prediction.prediction_id, why, prediction.expires_at)
    return Outcome.MISSED if counted else Outcome.DUPLICATE
