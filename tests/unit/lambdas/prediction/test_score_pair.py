"""Paired scoring: each prediction of an experiment is dealt with exactly once, and whoever should answer its review is asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from pair_tables import Database, PairsTable, PredictionsTable, cancelled

from lambdas.common.experiment import Experiment
from lambdas.common.pairs import Missed, Pairs, PairState, PairStore, Slot, asked_key
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.predictions import BY_SUBJECT, Prediction, StoredPrediction
from lambdas.common.review import ReviewReason, ReviewRequest, ReviewState
from lambdas.prediction.score_pair.scoring import Answer, CannotAnswer, Limits, Outcome, Ports, is_chosen, score
from lambdas.prediction.score_pair.table import PairTable

EXPERIMENT = Experiment("rollout-1", "model-1", "model-2", 0.5, "2026-11-23T10:00:00+00:00")
LIMITS = Limits(paired_share=1.0, reviews_a_day=3)
TODAY = "2026-11-23"


class Throttled(Exception):
    """Passes."""


class Killed(Exception):
    """The function ends here."""


class World:
    """The two tables, the other variant and the review queue. The other variant agrees unless the text says ``differ``."""

    def __init__(self) -> None:
        self.database, self.sent, self.calls = Database(), list[ReviewRequest](), list[tuple[str, str]]()
        self.store = PredictionStore(PredictionsTable(self.database))
        self.table = PairTable(PairsTable(self.database), self.store, pause=lambda _: None)
        self.experiment: Experiment | None = EXPERIMENT
        self.before_answer: Callable[[], None] = lambda: None
        self.before_sending: Callable[[], None] = lambda: None
        self.other_version: str | None = None
        self._numbers = iter(range(1_000))

    def predicted(self, text: str = "fine", **changes: Any) -> StoredPrediction:
        """A prediction as the stream has it, with its record."""
        number, variant = next(self._numbers), changes.pop("variant", "champion")
        prediction = Prediction(
            prediction_id=f"{number:032x}",
            text=text,
            label="good",
            confidence=0.9,
            review_threshold=0.6,
            variant=variant,
            model_version="model-1" if variant == "champion" else "model-2",
            created_at=f"2026-11-23T10:{number // 60:02d}:{number % 60:02d}.000+00:00",
            expires_at=1_900_000_000,
            review_state=ReviewState.NOT_REQUIRED,
            experiment="rollout-1",
        )
        item = replace(prediction, **changes).item()
        self.database.predictions[prediction.prediction_id] = item
        return StoredPrediction.parse(item)

    def score(self, prediction: StoredPrediction, limits: Limits = LIMITS, today: str = TODAY) -> Outcome:
        ports = Ports(table=self.table, record=self.store.get, ask_model=self._answer, ask_people=self._send)
        return score(prediction, self.experiment, limits, ports, today=today)

    def _answer(self, variant: str, prediction: StoredPrediction) -> Answer:
        self.calls.append((variant, prediction.text))
        self.before_answer()
        version = self.other_version or {"champion": "model-1", "challenger": "model-2"}[variant]
        return Answer("bad" if "differ" in prediction.text else "good", 0.7, version)

    def _send(self, request: ReviewRequest) -> None:
        self.before_sending()
        self.sent.append(request)

    def read(self) -> Pairs:
        return PairStore(PairsTable(self.database), PredictionsTable(self.database)).read("rollout-1")

    def record(self, prediction: StoredPrediction) -> StoredPrediction:
        stored = self.store.get(prediction.prediction_id)
        assert stored is not None
        return stored


@pytest.fixture
def world() -> World:
    return World()


def once(problem: Exception) -> Callable[[], None]:
    """Raises the first time it is called."""
    left = [problem]

    def raising() -> None:
        if left:
            raise left.pop()

    return raising


def test_an_agreement_is_counted_and_asks_nobody(world: World) -> None:
    assert world.score(world.predicted()) is Outcome.AGREED
    assert world.read() == Pairs((Slot("2026-11-23T10:00:00", 1, (), {"champion": 1}),), {}, 0)
    assert (world.calls, world.sent) == ([("challenger", "fine")], [])


def test_a_difference_is_kept_and_people_are_asked_about_the_text(world: World) -> None:
    prediction = world.predicted("differ", variant="challenger", assigned_by=BY_SUBJECT, subject="x")
    assert world.score(prediction) is Outcome.DIFFER
    [slot] = world.read().slots
    [pair] = slot.differ
    assert (pair.champion_label, pair.champion_confidence) == ("bad", 0.7)
    assert (pair.challenger_label, pair.challenger_confidence) == ("good", 0.9)
    assert (pair.variant, pair.state, slot.agreed, slot.calls) == ("challenger", PairState.WAITING, 0, {"challenger_by_subject": 1})
    assert world.calls == [("champion", "differ")]
    [request] = world.sent
    assert (request.reason, request.review_id) == (ReviewReason.PAIR, f"{prediction.prediction_id}-1")
    stored = world.record(prediction)
    assert (stored.review_state, stored.review_reason) == (ReviewState.REQUESTED, "pair")
    assert world.database.predictions[prediction.prediction_id]["open_state"] == "requested", "the reconciler finds it"
    assert world.read().asked == 1


def test_a_text_that_waits_for_the_budget_is_asked_about_as_a_pair(world: World) -> None:
    """Else the judge would learn only of the differences that are urgent for other reasons."""
    prediction = world.predicted("differ", review_reason="low_confidence", review_state=ReviewState.WAITING)
    assert world.score(prediction) is Outcome.DIFFER
    stored = world.record(prediction)
    assert (stored.review_state, stored.review_reason, world.read().asked) == (ReviewState.REQUESTED, "pair", 1)
    assert [request.reason for request in world.sent] == [ReviewReason.PAIR]


@pytest.mark.parametrize("state", [ReviewState.REQUESTED, ReviewState.IN_REVIEW, ReviewState.DEAD_LETTERED, ReviewState.REVIEWED])
def test_a_text_that_is_in_review_anyway_is_used_and_not_asked_twice(world: World, state: ReviewState) -> None:
    prediction = world.predicted("differ", review_reason="low_confidence")
    world.database.predictions[prediction.prediction_id] |= {"review_state": state.value, "human_label": "good"}
    assert world.score(prediction) is Outcome.DIFFER
    assert (world.sent, world.read().asked, world.record(prediction).review_reason) == ([], 0, "low_confidence")
    assert world.read().differ[0].human_label == "good"


def test_a_review_that_begins_in_between_is_not_asked_for_again(world: World) -> None:
    """Between reading the record and writing the pair an operator asked people about it."""
    prediction = world.predicted("differ")

    def somebody_else() -> None:
        world.database.predictions[prediction.prediction_id]["review_state"] = "in_review"

    world.database.before = somebody_else
    assert world.score(prediction) is Outcome.DIFFER
    assert (world.sent, len(world.read().differ), world.read().asked) == ([], 1, 0)


def test_a_record_that_is_gone_is_a_pair_without_a_label(world: World) -> None:
    prediction = world.predicted("differ")
    world.database.predictions.clear()
    assert world.score(prediction) is Outcome.DIFFER
    assert ([pair.state for pair in world.read().differ], world.sent) == ([PairState.EXPIRED], [])


@pytest.mark.parametrize("text", ["fine", "differ"])
def test_a_record_that_comes_again_changes_nothing_and_asks_no_model(world: World, text: str) -> None:
    prediction = world.predicted(text)
    world.score(prediction)
    before, calls = world.read(), len(world.calls)
    assert [world.score(prediction) for _ in range(3)] == [Outcome.DUPLICATE] * 3
    assert (world.read(), len(world.calls)) == (before, calls)


def test_two_that_score_the_same_record_at_once_count_it_once(world: World) -> None:
    prediction, second = world.predicted("differ"), list[Outcome]()

    def other() -> None:
        world.before_answer = lambda: None
        second.append(world.score(prediction))

    world.before_answer = other
    assert (world.score(prediction), second) == (Outcome.DUPLICATE, [Outcome.DIFFER])
    assert (len(world.read().differ), world.read().asked) == (1, 1)


STEPS = {
    "the model's call": "before_answer",
    "before the transaction": "before",
    "after the transaction": "after",
    "before sending": "before_sending",
}


def break_at(world: World, step: str, problem: Exception) -> None:
    name = STEPS[step]
    setattr(world.database if name in ("before", "after") else world, name, once(problem))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("text", ["fine", "differ"])
def test_a_kill_at_any_step_is_made_good_by_the_next_try(world: World, step: str, text: str) -> None:
    prediction = world.predicted(text)
    break_at(world, step, Killed())
    for _ in range(3):
        try:
            world.score(prediction)
        except Killed:
            continue
    pairs = world.read()
    assert (pairs.agreed, len(pairs.differ), pairs.missed) == ((1, 0, {}) if text == "fine" else (0, 1, {}))
    assert sum(sum(one.calls.values()) for one in pairs.slots) == 1
    if text == "differ":
        assert world.record(prediction).review_state is ReviewState.REQUESTED
        assert {request.review_id for request in world.sent} == {f"{prediction.prediction_id}-1"}
        assert pairs.asked == 1


def test_a_lost_request_is_not_sent_again_once_its_review_runs(world: World) -> None:
    prediction = world.predicted("differ")
    world.score(prediction)
    world.database.predictions[prediction.prediction_id]["review_state"] = "in_review"
    world.score(prediction)
    assert len(world.sent) == 1


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("its experiment is over", {"experiment": None}, Missed.LATE),
        ("the next experiment runs", {"experiment": replace(EXPERIMENT, id="rollout-2")}, Missed.LATE),
        ("the variant is gone", {"before_answer": CannotAnswer(Missed.GONE, "no such variant")}, Missed.GONE),
        ("the variant runs another model", {"other_version": "model-1b"}, Missed.GONE),
        ("the model fails on the text", {"before_answer": CannotAnswer(Missed.FAILED, "424")}, Missed.FAILED),
    ],
)
def test_what_is_not_paired_is_counted_once_and_never_guessed(world: World, name: str, change: dict[str, Any], why: Missed) -> None:
    for attribute, value in change.items():
        setattr(world, attribute, _raising(value) if isinstance(value, Exception) else value)
    prediction = world.predicted("differ")
    assert [world.score(prediction) for _ in range(2)] == [Outcome.MISSED, Outcome.DUPLICATE], name
    assert world.read() == Pairs((), {why.value: 1}, 0)
    assert world.sent == []
    world.experiment, world.before_answer, world.other_version = EXPERIMENT, lambda: None, None
    assert world.score(prediction) is Outcome.DUPLICATE, "what was counted as missed stays missed"


def _raising(problem: Exception) -> Callable[[], None]:
    def raising() -> None:
        raise problem

    return raising


@pytest.mark.parametrize(
    "wrong", [{"variant": "champion", "model_version": "older"}, {"variant": "challenger", "model_version": "model-1"}]
)
def test_an_answer_of_another_model_than_the_experiments_is_not_paired_and_asks_nobody(world: World, wrong: dict[str, Any]) -> None:
    assert world.score(world.predicted(**wrong)) is Outcome.MISSED
    assert (world.read().missed, world.calls) == ({"gone": 1}, [])


@pytest.mark.parametrize("change", [{"variant": "third"}, {"label": None}, {"model_version": None}])
def test_a_record_without_a_usable_answer_is_counted(world: World, change: dict[str, Any]) -> None:
    assert world.score(replace(world.predicted(), **change)) is Outcome.MISSED
    assert (world.read().missed, world.calls) == ({"unusable": 1}, [])


def test_a_throttled_call_leaves_nothing_behind_and_comes_again(world: World) -> None:
    prediction = world.predicted()
    break_at(world, "the model's call", Throttled())
    with pytest.raises(Throttled):
        world.score(prediction)
    assert world.read() == Pairs()
    assert world.score(prediction) is Outcome.AGREED


def test_a_transaction_that_meets_another_one_is_tried_again(world: World) -> None:
    world.database.before = once(cancelled("None", "TransactionConflict"))
    assert world.score(world.predicted()) is Outcome.AGREED


@pytest.mark.parametrize("codes", [("None", "ThrottlingError"), ("None", "TransactionConflict")])
def test_a_transaction_that_does_not_get_through_is_an_error(world: World, codes: tuple[str, str]) -> None:
    world.database.before = _raising(cancelled(*codes))
    with pytest.raises(ClientError):
        world.score(world.predicted())
    assert world.read() == Pairs()


def test_a_spent_budget_stops_agreements_too_and_the_next_day_goes_on(world: World) -> None:
    """Otherwise only differences would be missing, and the challenger would seem closer to the champion than it is."""
    first = [world.score(world.predicted("differ")) for _ in range(4)]
    assert first == [Outcome.DIFFER] * 3 + [Outcome.MISSED]
    assert [world.score(world.predicted()) for _ in range(2)] == [Outcome.MISSED] * 2
    assert (len(world.calls), len(world.sent), world.read().missed) == (3, 3, {"over_budget": 3})
    assert world.score(world.predicted(), today="2026-11-24") is Outcome.AGREED
    assert world.score(world.predicted("differ"), today="2026-11-24") is Outcome.DIFFER
    assert world.read().asked == 4
    assert {at for _, at in world.database.pairs if at.startswith("asked#")} == {asked_key(TODAY), asked_key("2026-11-24")}


def test_reviews_that_run_anyway_cost_no_budget(world: World) -> None:
    for _ in range(10):
        prediction = world.predicted("differ")
        world.database.predictions[prediction.prediction_id]["review_state"] = "in_review"
        assert world.score(prediction) is Outcome.DIFFER
    assert world.score(world.predicted("differ")) is Outcome.DIFFER
    assert world.read().asked == 1


def test_records_that_come_an_hour_late_are_paired_while_their_experiment_runs(world: World) -> None:
    prediction = world.predicted("differ", created_at="2026-11-23T09:05:00.000+00:00")
    assert world.score(prediction) is Outcome.DIFFER
    assert [one.begin for one in world.read().slots] == ["2026-11-23T09:05:00"]


def test_predictions_of_no_experiment_are_none_of_ours(world: World) -> None:
    assert world.score(world.predicted(experiment=None)) is Outcome.NOT_CHOSEN
    assert (world.database.pairs, world.calls) == ({}, [])


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_the_share_is_drawn_by_the_id_alone(world: World, share: float) -> None:
    chosen = [is_chosen(f"{number:032x}", share) for number in range(4_000)]
    assert sum(chosen) / 4_000 == pytest.approx(share, abs=0.03)
    assert chosen == [is_chosen(f"{number:032x}", share) for number in range(4_000)]
    predictions = [world.predicted() for _ in range(60)]
    outcomes = [world.score(prediction, replace(LIMITS, paired_share=share)) for prediction in predictions]
    assert [outcome is Outcome.AGREED for outcome in outcomes] == chosen[:60]
    assert sum(one.agreed for one in world.read().slots) == sum(chosen[:60])


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.sampled_from(["fine", "differ", "in review differ"]), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([None, *STEPS])), max_size=15),
)
def test_whatever_comes_twice_or_breaks_every_prediction_counts_once(texts: list[str], deliveries: list[tuple[int, str | None]]) -> None:
    world = World()
    predictions = [world.predicted(text) for text in texts]
    for prediction in predictions:
        if "in review" in prediction.text:
            world.database.predictions[prediction.prediction_id]["review_state"] = "in_review"
    wanted = [(which % len(texts), step) for which, step in deliveries] + [(which, None) for which in range(len(texts))]
    for which, step in wanted:
        if step is not None:
            break_at(world, step, Killed())
        with suppress(Killed):
            world.score(predictions[which], replace(LIMITS, reviews_a_day=100))
        for name in STEPS.values():
            setattr(world.database if name in ("before", "after") else world, name, lambda: None)
    pairs = world.read()
    differ = sum("differ" in text for text in texts)
    assert (pairs.agreed, len(pairs.differ), pairs.asked) == (len(texts) - differ, differ, texts.count("differ"))
    assert sum(sum(one.calls.values()) for one in pairs.slots) == len(texts)
    assert {request.prediction_id for request in world.sent} == {one.prediction_id for one in predictions if one.text == "differ"}
