"""The prediction table's conditional writes on a real table: which review transitions happen, and which never."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from embedded_aws.tools.clients import Clients
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.predictions import Forgotten, ImportedLabel, Prediction
from lambdas.common.review import Consolidated, HumanAnswer, ReviewReason, ReviewState
from stacks.names import PREDICTION_INDEXES

NUMBERS = itertools.count()
POSITIVE = Consolidated("positive", {"positive": 2, "neutral": 1}, 2 / 3, "plurality: 2 of 3 votes")
UNDECIDED = Consolidated(None, {"positive": 1, "neutral": 1}, 0.5, "undecided: tie")
FORGOTTEN = Forgotten("2026-11-24T10:00:00+00:00", 1_900_000_000)
ANSWERS = [HumanAnswer("w1", "positive", 1.5), HumanAnswer("w2", None, 0.0)]


@pytest.fixture(scope="module")
def store(emulator: Any) -> Iterator[PredictionStore]:
    resource = Clients(emulator.url).resource("dynamodb")
    attributes = {"prediction_id", *(name for keys in PREDICTION_INDEXES.values() for name in keys)}

    def keys(partition: str, *sort: str) -> list[dict[str, str]]:
        return [{"AttributeName": partition, "KeyType": "HASH"}, *({"AttributeName": name, "KeyType": "RANGE"} for name in sort)]

    yield PredictionStore(
        resource.create_table(
            TableName="store-test",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in sorted(attributes)],
            KeySchema=keys("prediction_id"),
            GlobalSecondaryIndexes=[
                {"IndexName": index, "KeySchema": keys(*names), "Projection": {"ProjectionType": "ALL"}}
                for index, names in PREDICTION_INDEXES.items()
            ],
        )
    )
    resource.Table("store-test").delete()


def put(store: PredictionStore, state: ReviewState = ReviewState.REQUESTED, attempt: int = 1) -> str:
    """A prediction of its own in the wanted state; returns its id."""
    prediction_id = f"{next(NUMBERS):032x}"
    first = {ReviewState.NOT_CHOSEN: ReviewState.WAITING}.get(state, state)
    if first not in (ReviewState.NOT_REQUIRED, ReviewState.WAITING):
        first = ReviewState.REQUESTED
    assert store.put(
        Prediction(
            prediction_id, "text", "neutral", 0.4, 0.6, "champion", "m1", f"2026-11-23T10:00:{int(prediction_id, 16):02d}", 1, first,
            ReviewReason.LOW_CONFIDENCE.value, None, attempt,
        )
    )  # fmt: skip
    if state is ReviewState.IN_REVIEW:
        assert store.mark_in_review(prediction_id, "r", attempt, asked_at="2026-11-23T10:01:00")
    elif state is ReviewState.NOT_CHOSEN:
        assert store.mark_not_chosen(prediction_id, "why")
    elif state is ReviewState.DEAD_LETTERED:
        assert store.mark_dead_lettered(prediction_id, attempt, "why", next_attempt=attempt)
    elif state is ReviewState.REVIEWED:
        assert store.store_label(prediction_id, POSITIVE, ANSWERS, reviewed_at="2026-11-23T11:00:00", source="s")
    elif state is ReviewState.FORGOTTEN:
        store.forget(prediction_id, FORGOTTEN)
    return prediction_id


def item(store: PredictionStore, prediction_id: str) -> dict[str, Any]:
    """The item as the table holds it."""
    found: dict[str, Any] = store._table.get_item(Key={"prediction_id": prediction_id}, ConsistentRead=True)["Item"]
    return found


def test_subjects_are_read_of_as_many_predictions_as_are_asked_for(store: PredictionStore) -> None:
    ids = [f"subject-{number:04d}" for number in range(230)]
    for number, prediction_id in enumerate(ids):
        subject = f"s{number % 7}" if number % 2 else None
        assert store.put(
            Prediction(prediction_id, "text", "neutral", 0.9, 0.6, "champion", "m0", "t", 1, ReviewState.NOT_REQUIRED, None, subject)
        )
    expected = {name: f"s{number % 7}" if number % 2 else None for number, name in enumerate(ids)}
    assert store.subjects({*ids, "unknown"}) == expected
    assert store.subjects([]) == {}


def test_a_prediction_is_put_once(store: PredictionStore) -> None:
    prediction_id = put(store)
    again = Prediction(prediction_id, "other", "positive", 0.9, 0.6, "challenger", "m2", "t", 2, ReviewState.NOT_REQUIRED)
    assert store.put(again) is False
    assert item(store, prediction_id)["text"] == "text"
    assert item(store, prediction_id)["confidence"] == Decimal("0.4")


@pytest.mark.parametrize(
    ("state", "recorded", "attempt", "happens"),
    [
        (ReviewState.REQUESTED, 1, 1, True),
        (ReviewState.NOT_REQUIRED, 1, 1, True),
        (ReviewState.WAITING, 1, 1, True),
        (ReviewState.NOT_CHOSEN, 1, 1, True),
        (ReviewState.DEAD_LETTERED, 2, 2, True),
        (ReviewState.DEAD_LETTERED, 2, 1, False),
        (ReviewState.IN_REVIEW, 1, 1, False),
        (ReviewState.IN_REVIEW, 1, 2, True),
        (ReviewState.IN_REVIEW, 2, 1, False),
        (ReviewState.REVIEWED, 1, 2, False),
    ],
)
def test_which_predictions_go_into_review(store: PredictionStore, state: ReviewState, recorded: int, attempt: int, happens: bool) -> None:
    prediction_id = put(store, state, recorded)
    assert store.mark_in_review(prediction_id, "new", attempt, asked_at="2026-11-24T10:00:00") is happens
    now = item(store, prediction_id)
    assert now["review_state"] == ("in_review" if happens else state.value)
    assert now["attempt"] == (attempt if happens else recorded)
    assert (now.get("asked_at") == "2026-11-24T10:00:00") is happens
    assert now.get("open_state") == (None if now["review_state"] == "reviewed" else now["review_state"])


@pytest.mark.parametrize(
    ("state", "recorded", "attempt", "happens"),
    [
        (ReviewState.REQUESTED, 1, 1, True),
        (ReviewState.IN_REVIEW, 1, 1, True),
        (ReviewState.IN_REVIEW, 2, 1, False),
        (ReviewState.DEAD_LETTERED, 1, 1, False),
        (ReviewState.REVIEWED, 1, 1, False),
        (ReviewState.NOT_REQUIRED, 1, 1, False),
        (ReviewState.WAITING, 1, 1, False),
        (ReviewState.NOT_CHOSEN, 1, 1, False),
        (ReviewState.FORGOTTEN, 1, 1, False),
    ],
)
def test_which_predictions_are_dead_lettered(
    store: PredictionStore, state: ReviewState, recorded: int, attempt: int, happens: bool
) -> None:
    prediction_id = put(store, state, recorded)
    assert store.mark_dead_lettered(prediction_id, attempt, "nobody came", next_attempt=attempt + 1) is happens
    now = item(store, prediction_id)
    if happens:
        assert (now["review_state"], now["open_state"], now["review_outcome"], now["attempt"]) == (
            "dead_lettered", "dead_lettered", "nobody came", attempt + 1,
        )  # fmt: skip
    else:
        assert now["review_state"] == state.value


@pytest.mark.parametrize("state", list(ReviewState))
def test_only_a_waiting_text_is_chosen_or_given_up_and_once(store: PredictionStore, state: ReviewState) -> None:
    one, other, waits = put(store, state), put(store, state), state is ReviewState.WAITING
    assert store.mark_chosen(one, chosen_at="2026-11-24T10:00:00+00:00") is waits
    assert store.mark_chosen(one, chosen_at="2026-11-24T11:00:00+00:00") is False
    assert store.mark_not_chosen(other, "others came first") is waits
    if waits:
        chosen, given_up = item(store, one), item(store, other)
        assert (chosen["review_state"], chosen["open_state"], chosen["chosen_at"][:13]) == ("requested", "requested", "2026-11-24T10")
        assert (given_up["review_state"], given_up["review_outcome"], "open_state" in given_up) == (
            "not_chosen",
            "others came first",
            False,
        )
        assert store.mark_waiting(one) is False, "it has had its turn"


def test_a_request_that_came_before_its_turn_waits_once(store: PredictionStore) -> None:
    one = put(store)
    assert [store.mark_waiting(one), store.mark_waiting(one)] == [True, False]
    assert one in [found.prediction_id for found in store.open_reviews(ReviewState.WAITING, newest_first=True)]


@pytest.mark.parametrize("state", [state for state in ReviewState if state not in (ReviewState.REVIEWED, ReviewState.FORGOTTEN)])
def test_a_label_is_stored_from_any_open_state_and_once(store: PredictionStore, state: ReviewState) -> None:
    prediction_id = put(store, state)
    assert store.store_label(prediction_id, POSITIVE, ANSWERS, reviewed_at="2026-11-23T12:00:00+00:00", source="review:x") is True
    assert store.store_label(prediction_id, UNDECIDED, [], reviewed_at="2026-11-24T12:00:00+00:00", source="late") is False
    now = item(store, prediction_id)
    assert (now["human_label"], now["label_day"], now["label_source"]) == ("positive", "2026-11-23", "review:x")
    assert (now["votes"], now["agreement"]) == ({"positive": 2, "neutral": 1}, Decimal("0.666667"))
    assert [answer["label"] for answer in now["answers"]] == ["positive", None]
    assert "open_state" not in now


def test_an_undecided_review_is_final_and_has_no_label(store: PredictionStore) -> None:
    prediction_id = put(store, ReviewState.IN_REVIEW)
    assert store.store_label(prediction_id, UNDECIDED, ANSWERS, reviewed_at="2026-01-01T00:00:00", source="s")
    now = item(store, prediction_id)
    assert (now["review_state"], now["review_outcome"]) == ("reviewed", "undecided: tie")
    assert not {"human_label", "label_day"} & set(now)


def test_a_disputed_review_is_listed_until_a_lead_settles_it_once(store: PredictionStore) -> None:
    prediction_id = put(store, ReviewState.IN_REVIEW)
    assert store.settle(prediction_id, "positive", settled_by="lead", settled_at="2026-01-02T00:00:00") is False
    assert store.store_label(prediction_id, UNDECIDED, ANSWERS, reviewed_at="2026-01-01T00:00:00", source="s")
    assert prediction_id in [one.prediction_id for one in store.disputed()]
    assert store.settle(prediction_id, "positive", settled_by="lead", settled_at="2026-01-02T00:00:00") is True
    assert store.settle(prediction_id, "neutral", settled_by="late", settled_at="2026-01-03T00:00:00") is False
    assert prediction_id not in [one.prediction_id for one in store.disputed()]
    found = next(one for one in store.labels_of_day("2026-01-02") if one.prediction_id == prediction_id)
    assert (found.human_label, found.votes, found.review_outcome) == ("positive", {"positive": 1, "neutral": 1}, "settled by lead")
    assert (found.label_basis or {})["method"] == "settled"
    assert [answer.label for answer in found.answers or ()] == ["positive", None]


def test_a_label_for_nothing_is_refused(store: PredictionStore) -> None:
    assert store.store_label("absent", POSITIVE, [], reviewed_at="2026-11-23T12:00:00", source="s") is False
    assert store.get("absent") is None
    assert store.mark_in_review("absent", "r", 1, asked_at="2026-11-24T10:00:00") is False


def test_an_imported_text_is_stored_once_and_found_by_day(store: PredictionStore) -> None:
    imported = ImportedLabel("text-1", "a text", POSITIVE, tuple(ANSWERS), "2025-05-05T01:00:00+00:00", "ground-truth:j", 99)
    assert store.put_label(imported) is True
    assert store.put_label(imported) is False
    [found] = store.labels_of_day("2025-05-05")
    assert (found.text, found.human_label, found.label_source, found.expires_at) == ("a text", "positive", "ground-truth:j", 99)
    assert list(store.labels_of_day("2025-05-05", after="2025-05-05T01:00:00+00:00")) == []
    later = ImportedLabel("text-2", "another", POSITIVE, tuple(ANSWERS), "2025-05-05T02:00:00+00:00", "ground-truth:j", 99)
    assert store.put_label(later) is True
    assert [one.prediction_id for one in store.labels_of_day("2025-05-05")] == ["text-1", "text-2"]
    assert [one.prediction_id for one in store.labels_of_day("2025-05-05", newest_first=True)] == ["text-2", "text-1"]


def test_an_imported_tie_is_disputed_until_a_label_comes(store: PredictionStore) -> None:
    def text(consolidated: Consolidated) -> ImportedLabel:
        return ImportedLabel("text-tie", "so so", consolidated, (), "2026-11-23T10:00:00+00:00", "labeling:j", 1_900_000_000, "bob")

    assert store.put_label(text(UNDECIDED)) and not store.put_label(text(UNDECIDED))
    assert "text-tie" in [one.prediction_id for one in store.disputed()]
    assert item(store, "text-tie")["subject"] == "bob"
    assert store.put_label(text(POSITIVE)) and not store.put_label(text(POSITIVE)) and not store.put_label(text(UNDECIDED))
    assert "text-tie" not in [one.prediction_id for one in store.disputed()]


def test_open_reviews_are_listed_by_state_and_leave_the_list_with_their_label(store: PredictionStore) -> None:
    prediction_id = put(store, ReviewState.IN_REVIEW)
    assert prediction_id in [one.prediction_id for one in store.open_reviews(ReviewState.IN_REVIEW)]
    store.store_label(prediction_id, POSITIVE, [], reviewed_at="2024-01-01T00:00:00", source="s")
    assert prediction_id not in [one.prediction_id for one in store.open_reviews(ReviewState.IN_REVIEW)]


@pytest.mark.parametrize("state", list(ReviewState))
def test_nothing_brings_a_forgotten_record_back(store: PredictionStore, state: ReviewState) -> None:
    prediction_id = put(store, state)
    store.forget(prediction_id, FORGOTTEN)
    left = item(store, prediction_id)
    assert left == {
        "prediction_id": prediction_id, "review_state": "forgotten", "created_at": FORGOTTEN.at,
        "expires_at": FORGOTTEN.expires_at, "attempt": 1,
    }  # fmt: skip
    assert not store.put(Prediction(prediction_id, "text", "neutral", 0.4, 0.6, "champion", "m1", "t", 1, ReviewState.REQUESTED))
    assert not store.put_label(ImportedLabel(prediction_id, "text", POSITIVE, (), "2026-11-25T10:00:00+00:00", "s", 1))
    assert not store.store_label(prediction_id, POSITIVE, ANSWERS, reviewed_at="2026-11-25T10:00:00", source="s")
    assert not store.mark_in_review(prediction_id, "r", 9, asked_at="2026-11-25T10:00:00")
    assert not store.mark_dead_lettered(prediction_id, 9, "why", next_attempt=10)
    assert not store.settle(prediction_id, "positive", settled_by="lead", settled_at="2026-11-25T10:00:00")
    with pytest.raises(store._table.meta.client.exceptions.TransactionCanceledException):
        store._table.meta.client.transact_write_items(TransactItems=[store.request_review(prediction_id, ReviewReason.PAIR)])
    assert item(store, prediction_id) == left
    opened = [one.prediction_id for each in ReviewState for one in store.open_reviews(each)]
    labelled = [one.prediction_id for one in store.labels_of_day("2026-11-23")]
    assert prediction_id not in (*opened, *labelled, *(one.prediction_id for one in store.disputed()))
    assert store.subjects([prediction_id]) == {}
    found = store.get(prediction_id)
    assert found is not None and (found.text, found.subject, found.human_label) == ("", None, None)


def test_when_somebody_was_forgotten_is_known_by_a_digest(store: PredictionStore) -> None:
    assert store.forgotten("Zo\u00eb") is None
    store.forget_subject("Zo\u00eb", FORGOTTEN)
    assert store.forgotten("Zoe\u0308") == FORGOTTEN, "the same name in another form"
    assert store.forgotten("somebody") is None
    assert all("Zo" not in str(one) for one in store._table.scan()["Items"])
