"""Records of the prediction table as types: what is read, what is refused by name, and the way to a request and back."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from review_fakes import PREDICTION_ID, prediction

from lambdas.common.predictions import InvalidPrediction, Prediction, StoredPrediction
from lambdas.common.review import HumanAnswer, ReviewReason, ReviewRequest, ReviewState

IMPORTED: dict[str, Any] = {
    "prediction_id": "text-1", "text": "a text", "created_at": "2026-11-23T10:00:00+00:00", "expires_at": Decimal(1_900_000_000),
    "review_state": "reviewed", "attempt": Decimal(1),
}  # fmt: skip
REQUIRED = tuple(IMPORTED)


def test_numbers_become_int_and_float_and_what_is_not_there_is_none() -> None:
    review = {"votes": {"positive": Decimal(2)}, "agreement": Decimal("0.666667"), "reviewed_at": "2026-11-24T10:00:00+00:00"}
    stored = StoredPrediction.parse(replace(prediction(), tokens=3).item() | review)
    numbers = [stored.expires_at, stored.attempt, stored.confidence, stored.review_threshold, stored.tokens, stored.agreement]
    assert numbers == [1_900_000_000, 1, 0.41, 0.62, 3, 0.666667]
    assert [type(one) for one in numbers] == [int, int, float, float, int, float]
    assert (stored.review_state, stored.votes, stored.reviewed_at) == (ReviewState.REQUESTED, {"positive": 2}, review["reviewed_at"])
    assert (stored.subject, stored.oov_tokens, stored.human_label, stored.asked_at) == (None, None, None, None)


def test_fields_that_nobody_reads_change_nothing() -> None:
    assert StoredPrediction.parse(IMPORTED | {"open_state": "requested", "label_day": "2026-11-23"}) == StoredPrediction.parse(IMPORTED)


def test_the_answers_and_the_basis_of_a_label_are_read() -> None:
    answers = [{"worker_id": "w1", "label": "positive", "seconds": Decimal("1.5")}, {"worker_id": "w2", "label": None}, "nonsense"]
    basis = {"method": "dawid-skene", "plurality": None, "certainty": Decimal("0.9")}
    stored = StoredPrediction.parse(IMPORTED | {"answers": answers, "label_basis": basis})
    assert stored.answers == (HumanAnswer("w1", "positive", 1.5), HumanAnswer("w2", None, 0.0), HumanAnswer("unknown", None, 0.0))
    assert stored.label_basis == {"method": "dawid-skene", "plurality": None, "certainty": 0.9}


@pytest.mark.parametrize("field", REQUIRED)
@pytest.mark.parametrize("missing", [True, False])
def test_a_required_field_that_is_missing_is_named_with_its_prediction(field: str, missing: bool) -> None:
    item = {name: value for name, value in IMPORTED.items() if name != field} if missing else IMPORTED | {field: None}
    with pytest.raises(InvalidPrediction, match=rf"prediction {None if field == 'prediction_id' else 'text-1'}: {field} is missing"):
        StoredPrediction.parse(item)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("text", Decimal(1), r"text Decimal\('1'\): must be a text"),
        ("confidence", "high", "confidence 'high'"),
        ("attempt", "first", "attempt 'first'"),
        ("review_state", "lost", "review_state 'lost'"),
        ("votes", "many", "votes 'many': must be an object"),
        ("votes", {"positive": "two"}, "votes {'positive': 'two'}"),
        ("subject", ["a"], "subject"),
    ],
)
def test_a_field_of_another_form_is_named_with_its_value(field: str, value: Any, named: str) -> None:
    with pytest.raises(InvalidPrediction, match=f"prediction text-1: {named}") as refused:
        StoredPrediction.parse(IMPORTED | {field: value})
    assert (refused.value.prediction_id, refused.value.field) == ("text-1", field)


def test_a_record_is_the_prediction_that_was_put() -> None:
    put = replace(prediction(), subject="product 7", tokens=3, oov_tokens=1)
    assert StoredPrediction.parse(put.item()).prediction() == put


@pytest.mark.parametrize("field", ["label", "confidence", "review_threshold", "variant", "model_version"])
def test_a_text_that_no_model_answered_is_no_prediction(field: str) -> None:
    item = {name: value for name, value in prediction().item().items() if name != field}
    with pytest.raises(InvalidPrediction, match=f"prediction {PREDICTION_ID}: {field} is missing"):
        StoredPrediction.parse(item).prediction()


def test_a_request_survives_the_queue_with_all_that_the_record_needs() -> None:
    request = prediction().review_request()
    assert ReviewRequest.from_json(request.to_json()) == request
    assert Prediction.of_request(request) == prediction()


def test_a_request_without_origin_makes_no_record() -> None:
    assert Prediction.of_request(replace(prediction().review_request(), origin=None)) is None


def test_a_prediction_that_the_policy_did_not_choose_is_asked_about_as_an_unsure_one() -> None:
    sure = replace(prediction(ReviewState.NOT_REQUIRED), review_reason=None)
    assert sure.review_request().reason is ReviewReason.LOW_CONFIDENCE
