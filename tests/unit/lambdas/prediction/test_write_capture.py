"""Captured lines made of the prediction table's records: the endpoint's form, the same objects on every try."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from lambdas.common.predictions import InvalidPrediction, Prediction, StoredPrediction
from lambdas.common.review import ReviewRequest, ReviewState
from lambdas.prediction.predict.review_policy import review_reason
from lambdas.prediction.write_capture.lines import CapturedPrediction, is_sampled, objects
from lambdas.prediction.write_capture.lines import captured as captured_line
from lambdas.retraining.freeze_dataset.served import captured_texts

ITEM: dict[str, Any] = {
    "prediction_id": "p1", "text": "I \u2028 love it", "subject": "x", "label": "positive", "confidence": Decimal("0.91"),
    "variant": "champion", "review_threshold": Decimal("0.62"), "model_version": "job-1", "created_at": "2026-11-28T23:59:59.123+00:00",
    "tokens": Decimal(3), "oov_tokens": Decimal(1), "review_state": "not_required", "expires_at": Decimal(1), "attempt": Decimal(1),
}  # fmt: skip


def captured(item: dict[str, Any]) -> CapturedPrediction:
    return captured_line(StoredPrediction.parse(item))


def test_a_line_has_the_form_of_the_endpoints_capture() -> None:
    """Source: SageMaker developer guide, "Capture data"."""
    line = json.loads(captured(ITEM).line)
    answer = {"label": "positive", "confidence": 0.91, "model_version": "job-1", "review_threshold": 0.62, "tokens": 3, "oov_tokens": 1}
    sides = line["captureData"]
    assert json.loads(sides["endpointInput"].pop("data")) == {"inputs": ITEM["text"]}
    assert json.loads(sides["endpointOutput"].pop("data")) == [answer]
    assert line == {
        "captureData": {
            "endpointInput": {"observedContentType": "application/json", "mode": "INPUT", "encoding": "JSON"},
            "endpointOutput": {"observedContentType": "application/json", "mode": "OUTPUT", "encoding": "JSON"},
        },
        "eventMetadata": {"eventId": "p1", "inferenceId": "p1", "inferenceTime": "2026-11-28T23:59:59Z"},
        "eventVersion": "0",
    }


def test_what_reads_captured_texts_reads_it() -> None:
    assert [(item.at, item.prediction_id, item.text) for item in captured_texts(captured(ITEM).line)] == [
        ("2026-11-28T23:59:59Z", "p1", ITEM["text"])
    ]


def test_a_model_that_counts_no_words_is_captured_without_them() -> None:
    (answer,) = json.loads(json.loads(captured({**ITEM, "tokens": None, "oov_tokens": None}).line)["captureData"]["endpointOutput"]["data"])
    assert answer.keys() == {"label", "confidence", "model_version", "review_threshold"}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("text", None, "prediction p1: text is missing"), ("text", "", "text is empty"),
        ("label", Decimal(1), r"label Decimal\('1'\): must be a text"),
        ("confidence", None, "confidence is missing"), ("confidence", "high", "confidence 'high': "),
        ("variant", "shadow", "variant 'shadow' is unknown: allowed are champion and challenger"),
        ("model_version", None, "model_version is missing"),
        ("created_at", "yesterday", "created_at 'yesterday' must be a time"), ("created_at", "2026-11-28T10:00:00", "with its offset"),
    ],
)  # fmt: skip
def test_a_record_that_makes_no_line_is_refused_by_field(field: str, value: Any, said: str) -> None:
    with pytest.raises(InvalidPrediction, match=said):
        captured({**ITEM, field: value})


def test_a_record_that_its_review_request_writes_is_captured_like_any_other() -> None:
    """When the hot path could not store a prediction, the start of its review does, from what the message carries."""
    given = {name: ITEM[name] for name in ("prediction_id", "text", "subject", "label", "variant", "model_version", "created_at")}
    prediction = Prediction(
        **given, confidence=0.41, review_threshold=0.62, expires_at=1, tokens=3, oov_tokens=1,
        review_state=ReviewState.REQUESTED, review_reason="low_confidence",
    )  # fmt: skip
    stored = Prediction.of_request(ReviewRequest.from_json(prediction.review_request().to_json()))
    assert stored == prediction
    assert captured(stored.item()) == captured({**ITEM, "confidence": Decimal("0.41")})


def some(*moments: str, variant: str = "champion") -> list[Any]:
    return [captured({**ITEM, "prediction_id": f"{variant}-{moment}", "created_at": moment, "variant": variant}) for moment in moments]


def test_objects_lie_by_variant_and_hour_of_the_answer_and_begin_with_their_first_line() -> None:
    batch = some("2026-11-28T10:59:59.900+00:00", "2026-11-28T11:00:01+01:00", "2026-11-28T11:00:00+00:00") + some(
        "2026-11-28T11:30:00+00:00", variant="challenger"
    )
    made = objects(batch, "reviewloop-dev")
    assert [key.rpartition("-")[0] for key in sorted(made)] == [
        "capture/reviewloop-dev/challenger/2026/11/28/11/30-00-000",
        "capture/reviewloop-dev/champion/2026/11/28/10/00-01-000",
        "capture/reviewloop-dev/champion/2026/11/28/11/00-00-000",
    ]
    first = made[next(key for key in made if "/10/" in key)]
    assert [json.loads(line)["eventMetadata"]["inferenceTime"] for line in first.splitlines()] == [
        "2026-11-28T10:00:01Z",
        "2026-11-28T10:59:59Z",
    ]


def test_the_same_batch_gives_the_same_objects_whatever_its_order_and_however_often_it_comes() -> None:
    batch = some(*(f"2026-11-28T10:00:{second:02d}+00:00" for second in range(30)))
    shuffled = batch + batch[:5]
    random.Random(1).shuffle(shuffled)  # noqa: S311  (a repeatable order)
    assert objects(shuffled, "e") == objects(batch, "e")
    assert objects(batch[:15], "e").keys().isdisjoint(objects(batch, "e").keys())


def test_the_share_that_is_captured_holds_and_a_retry_decides_alike() -> None:
    ids = [f"{number:032x}" for number in range(20_000)]
    for percent in (1, 25, 100):
        drawn = [is_sampled(one, percent) for one in ids]
        assert drawn == [is_sampled(one, percent) for one in ids]
        assert sum(drawn) / len(ids) == pytest.approx(percent / 100, abs=0.015)
    assert all(is_sampled(one, 50) for one in ids if is_sampled(one, 10))


def test_what_is_captured_says_nothing_about_what_is_audited() -> None:
    def audited(one: str) -> bool:
        return review_reason(one, 1.0, threshold=0.5, audit_share=0.1) is not None

    ids = [f"{number:032x}" for number in range(20_000)]
    both = [one for one in ids if is_sampled(one, 10) and audited(one)]
    assert len(both) / len(ids) == pytest.approx(0.01, abs=0.003)


def test_times_are_utc() -> None:
    assert captured({**ITEM, "created_at": "2026-11-28T01:00:00+02:00"}).at == datetime(2026, 11, 27, 23, tzinfo=UTC)
