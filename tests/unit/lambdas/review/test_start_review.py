"""A review request becomes a running review or a dead letter, whatever is delivered twice, late or half done."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from review_fakes import CONTEXT, PREDICTION_ID, DeadLetters, FakeStarter, FakeStore, prediction

from lambdas.common.observability import metrics
from lambdas.common.predictions import Forgotten
from lambdas.common.review import ReviewReason, ReviewRequest, ReviewState
from lambdas.review.port import ReviewRefused
from lambdas.review.start_review import handler as entry
from lambdas.review.start_review.start import Outcome, UnknownPrediction, start

REQUEST = prediction().review_request()
NOW = "2026-11-24T10:00:00+00:00"


def run(request: ReviewRequest, store: FakeStore, starter: FakeStarter | None = None) -> tuple[Outcome, FakeStarter, DeadLetters]:
    starter, letters = starter or FakeStarter(), DeadLetters()
    outcome, _ = start(request, store=store, starter=starter, send_dead_letter=letters, now=NOW)
    return outcome, starter, letters


def test_a_request_starts_a_review_and_the_record_says_so() -> None:
    store = FakeStore.holding(prediction())
    outcome, starter, letters = run(REQUEST, store)
    item = store.items[PREDICTION_ID]
    assert (outcome, starter.started, letters.sent) == (Outcome.STARTED, [f"{PREDICTION_ID}-1"], [])
    assert (item["review_state"], item["review_id"], item["attempt"], item["asked_at"]) == ("in_review", f"{PREDICTION_ID}-1", 1, NOW)


@pytest.mark.parametrize(
    ("state", "recorded", "asked", "starts"),
    [
        (ReviewState.REQUESTED, 1, 1, True),
        (ReviewState.REVIEWED, 1, 1, False),
        (ReviewState.REVIEWED, 1, 2, False),
        (ReviewState.IN_REVIEW, 1, 1, False),  # the message came twice
        (ReviewState.IN_REVIEW, 1, 2, True),  # redriven before the failure's event was recorded
        (ReviewState.DEAD_LETTERED, 2, 2, True),  # redriven
        (ReviewState.DEAD_LETTERED, 2, 1, False),  # an old copy of the failed attempt
        (ReviewState.IN_REVIEW, 2, 1, False),
        (ReviewState.NOT_REQUIRED, 1, 1, True),  # an operator asks about a confident prediction
        (ReviewState.WAITING, 1, 1, True),  # the daily budget has been given up since
        (ReviewState.NOT_CHOSEN, 1, 1, True),  # an operator asks all the same
        (ReviewState.FORGOTTEN, 1, 1, False),
        (ReviewState.FORGOTTEN, 1, 2, False),  # redriven after its subject was forgotten
    ],
)
def test_only_a_question_that_is_still_open_is_asked(state: ReviewState, recorded: int, asked: int, starts: bool) -> None:
    store = FakeStore.holding(prediction(), review_state=state.value, attempt=recorded)
    outcome, starter, _ = run(replace(REQUEST, attempt=asked), store)
    assert bool(starter.started) is starts
    assert outcome is (Outcome.STARTED if starts else Outcome.DROPPED)
    assert store.items[PREDICTION_ID]["review_state"] == ("in_review" if starts else state.value)


@pytest.mark.parametrize(
    ("reason", "state", "attempt", "chosen", "waits"),
    [
        ("low_confidence", ReviewState.REQUESTED, 1, False, True),  # the record was written from the request, or the budget is new
        ("low_confidence", ReviewState.WAITING, 1, False, True),  # the message came twice
        ("low_confidence", ReviewState.REQUESTED, 1, True, False),  # its turn has come
        ("low_confidence", ReviewState.DEAD_LETTERED, 2, True, False),  # redriven: it has had its place
        ("low_confidence", ReviewState.NOT_REQUIRED, 1, False, False),  # an operator asks
        ("low_confidence", ReviewState.NOT_CHOSEN, 1, False, False),
        ("audit_sample", ReviewState.REQUESTED, 1, False, False),
        ("audit_unsure", ReviewState.REQUESTED, 1, False, False),
        ("pair", ReviewState.REQUESTED, 1, False, False),
    ],
)
def test_with_a_budget_what_the_model_chose_waits_for_its_place(
    reason: str, state: ReviewState, attempt: int, chosen: bool, waits: bool
) -> None:
    changes = {"review_state": state.value, "review_reason": reason, "attempt": attempt} | ({"chosen_at": NOW} if chosen else {})
    store, starter = FakeStore.holding(prediction(), **changes), FakeStarter()
    request = replace(REQUEST, reason=ReviewReason(reason), attempt=attempt)
    outcome, _ = start(request, store=store, starter=starter, send_dead_letter=DeadLetters(), now=NOW, budgeted=True)
    assert (outcome, starter.started) == ((Outcome.WAITS, []) if waits else (Outcome.STARTED, [request.review_id]))
    assert store.items[PREDICTION_ID]["review_state"] == ("waiting" if waits else "in_review")


def test_a_text_that_became_a_pair_meanwhile_does_not_wait() -> None:
    """The first request is late, and the record says already that two models differ."""
    store, starter = FakeStore.holding(prediction(), review_reason="pair"), FakeStarter()
    outcome, _ = start(REQUEST, store=store, starter=starter, send_dead_letter=DeadLetters(), now=NOW, budgeted=True)
    assert outcome is Outcome.STARTED


def test_a_prediction_that_was_never_recorded_is_recorded_from_its_request() -> None:
    store = FakeStore()
    outcome, _, _ = run(REQUEST, store)
    item = store.items[PREDICTION_ID]
    assert outcome is Outcome.STARTED
    assert (item["text"], item["label"], item["model_version"], item["expires_at"]) == (
        "Not bad at all",
        "negative",
        "tuning-1",
        1_900_000_000,
    )
    assert item["review_state"] == "in_review"


FORGOTTEN = Forgotten(NOW, 1_900_000_000)
BOB = replace(prediction(), subject="bob")


def test_a_message_about_somebody_who_was_forgotten_brings_no_record_back() -> None:
    store = FakeStore.holding(BOB)
    store.forget(PREDICTION_ID, FORGOTTEN)
    left = dict(store.items[PREDICTION_ID])
    outcome, starter, letters = run(BOB.review_request(), store)
    assert (outcome, starter.started, letters.sent) == (Outcome.DROPPED, [], [])
    assert store.items[PREDICTION_ID] == left and "text" not in left


def test_nobody_is_asked_about_a_forgotten_person_whose_record_came_late() -> None:
    """Only the message had it, or it was written while the records were deleted: either way it goes again."""
    for store in (FakeStore(), FakeStore.holding(BOB)):
        store.forget_subject("bob", FORGOTTEN)
        outcome, starter, _ = run(BOB.review_request(), store)
        assert (outcome, starter.started) == (Outcome.DROPPED, [])
        assert store.items[PREDICTION_ID]["review_state"] == "forgotten"
        assert "bob" not in str(store.items[PREDICTION_ID]) and BOB.text not in str(store.items[PREDICTION_ID])


def test_somebody_who_comes_back_after_being_forgotten_is_asked_about() -> None:
    store = FakeStore()
    store.forget_subject("bob", FORGOTTEN)
    outcome, starter, _ = run(replace(BOB, created_at="2026-11-24T10:00:01+00:00").review_request(), store)
    assert (outcome, starter.started) == (Outcome.STARTED, [f"{PREDICTION_ID}-1"])


def test_without_record_and_origin_the_message_is_kept_and_nobody_is_asked() -> None:
    starter = FakeStarter()
    with pytest.raises(UnknownPrediction, match=PREDICTION_ID):
        start(replace(REQUEST, origin=None), store=FakeStore(), starter=starter, send_dead_letter=DeadLetters(), now=NOW)
    assert starter.started == []


def test_a_refused_request_is_a_dead_letter_with_its_reason_and_can_be_asked_again() -> None:
    store = FakeStore.holding(prediction())
    outcome, _, letters = run(REQUEST, store, FakeStarter(ReviewRefused("too large")))
    item = store.items[PREDICTION_ID]
    assert outcome is Outcome.REFUSED
    assert [(one.attempt, reason) for one, reason in letters.sent] == [(2, "too large")]
    assert (item["review_state"], item["review_outcome"], item["attempt"]) == ("dead_lettered", "too large", 2)
    again, starter, _ = run(letters.sent[0][0], store)
    assert (again, starter.started) == (Outcome.STARTED, [f"{PREDICTION_ID}-2"])


def test_a_result_that_is_quicker_than_the_record_stays() -> None:
    store = FakeStore.holding(prediction())

    class Quick(FakeStarter):
        def start(self, request: ReviewRequest, *, in_experiment: bool = False) -> None:
            store.items[PREDICTION_ID]["review_state"] = "reviewed"
            super().start(request, in_experiment=in_experiment)

    outcome, _, _ = run(REQUEST, store, Quick())
    assert (outcome, store.items[PREDICTION_ID]["review_state"]) == (Outcome.STARTED, "reviewed")


def test_a_failure_that_is_quicker_than_the_record_stays() -> None:
    """Otherwise the prediction would wait for a review that has ended."""
    store = FakeStore.holding(prediction())

    class QuickFailure(FakeStarter):
        def start(self, request: ReviewRequest, *, in_experiment: bool = False) -> None:
            store.mark_dead_lettered(PREDICTION_ID, 1, "expired", next_attempt=2)
            super().start(request, in_experiment=in_experiment)

    run(REQUEST, store, QuickFailure())
    assert store.items[PREDICTION_ID]["review_state"] == "dead_lettered"


def test_the_backend_hears_of_an_experiment_whose_models_the_answers_may_compare() -> None:
    within, without = FakeStarter(), FakeStarter()
    run(REQUEST, FakeStore.holding(prediction(), experiment="rollout-1"), within)
    run(REQUEST, FakeStore.holding(prediction()), without)
    assert (within.experiments, without.experiments) == ([f"{PREDICTION_ID}-1"], [])


def test_a_kill_between_asking_and_recording_is_finished_by_the_retry() -> None:
    store = FakeStore.holding(prediction())
    killed = SimpleNamespace(get=store.get, put=store.put, mark_in_review=lambda *_, **__: (_ for _ in ()).throw(OSError("killed")))
    starter = FakeStarter()
    with pytest.raises(OSError, match="killed"):
        start(REQUEST, store=killed, starter=starter, send_dead_letter=DeadLetters(), now=NOW)
    run(REQUEST, store, starter)
    assert starter.started == [f"{PREDICTION_ID}-1"] * 2  # one name: A2I has one loop
    assert store.items[PREDICTION_ID]["review_state"] == "in_review"


# -- the handler -----------------------------------------------------------------------------------


def message(number: int, body: str, receives: int = 1) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": "r",
        "body": body,
        "attributes": {"ApproximateReceiveCount": str(receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:review-requests",
        "awsRegion": "us-east-1",
    }


@pytest.fixture
def deliver(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    monkeypatch.setattr(metrics.provider, "service", "test")
    environment = entry.Environment("table", "https://queue", "a2i", "arn", 5, "/reviewloop/dev/dataset")
    monkeypatch.setattr(entry, "_environment", lambda: environment)

    def run_batch(store: FakeStore, starter: FakeStarter, *messages: dict[str, Any]) -> list[str]:
        monkeypatch.setattr(entry, "_store", lambda: store)
        monkeypatch.setattr(entry, "_starter", lambda: starter)
        answer = entry.handler({"Records": list(messages)}, CONTEXT)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    return run_batch


UNKNOWN = replace(REQUEST, prediction_id="unknown", origin=None).to_json()


def test_only_the_messages_that_failed_come_back(deliver: Any) -> None:
    store = FakeStore.holding(prediction())
    assert deliver(store, FakeStarter(), message(1, UNKNOWN), message(2, REQUEST.to_json())) == ["m1"]
    assert store.items[PREDICTION_ID]["review_state"] == "in_review"


def test_a_batch_that_fails_whole_comes_back_whole(deliver: Any) -> None:
    assert deliver(FakeStore(), FakeStarter(), message(1, UNKNOWN), message(2, UNKNOWN)) == ["m1", "m2"]


@pytest.mark.parametrize(
    "body", ["{", "[]", "null", "{}", '"x"', "[" * 50_000, json.dumps({**json.loads(REQUEST.to_json()), "text": "a\ud800"})]
)
def test_a_message_that_never_will_be_a_request_is_set_aside_at_once_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, deliver: Any, body: str
) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(entry, "client", lambda service: SimpleNamespace(send_message=lambda **arguments: sent.append(arguments)))
    store = FakeStore.holding(prediction())
    assert deliver(store, FakeStarter(), message(1, body), message(2, REQUEST.to_json())) == []
    [letter] = sent
    assert (letter["QueueUrl"], letter["MessageBody"]) == ("https://queue", body)
    assert letter["MessageAttributes"]["reason"]["StringValue"]
    assert store.items[PREDICTION_ID]["review_state"] == "in_review", "the others go on"


@pytest.mark.parametrize(("receives", "state"), [(4, "requested"), (5, "dead_lettered")])
def test_the_last_try_marks_the_record_before_the_queue_moves_the_message(deliver: Any, receives: int, state: str) -> None:
    store = FakeStore.holding(prediction())
    starter = FakeStarter(TimeoutError("A2I is away"))
    assert deliver(store, starter, message(1, REQUEST.to_json(), receives)) == ["m1"]
    assert store.items[PREDICTION_ID]["review_state"] == state
    starter.problem = None  # the message, redriven as it is, still asks
    assert deliver(store, starter, message(1, REQUEST.to_json())) == []
    assert store.items[PREDICTION_ID]["review_state"] == "in_review"


def test_a_dead_letter_carries_the_request_and_the_reason(monkeypatch: pytest.MonkeyPatch, deliver: Any) -> None:
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(entry, "client", lambda service: SimpleNamespace(send_message=lambda **arguments: sent.append(arguments)))
    assert deliver(FakeStore.holding(prediction()), FakeStarter(ReviewRefused("no")), message(1, REQUEST.to_json())) == []
    assert json.loads(sent[0]["MessageBody"])["attempt"] == 2
    assert sent[0]["MessageAttributes"]["reason"]["StringValue"] == "no"
