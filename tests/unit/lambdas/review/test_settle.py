"""A lead decides what people could not."""

from __future__ import annotations

import json

import pytest
from review_fakes import LABELS, PREDICTION_ID, FakeStore, prediction

from lambdas.common.consolidation import Plurality
from lambdas.common.review import HumanAnswer
from lambdas.review.settle import CannotSettle, settle

ENDED, NOW = "2026-11-23T12:30:00+00:00", "2026-11-25T09:00:00+00:00"
KEY = f"ground-truth/2026/11/23/12/{PREDICTION_ID}.jsonl"


def reviewed(*labels: str) -> FakeStore:
    store = FakeStore.holding(prediction(), review_state="in_review")
    given = [HumanAnswer(f"w{number}", label, 1.0) for number, label in enumerate(labels)]
    store.store_label(PREDICTION_ID, Plurality(LABELS).consolidate(given), given, reviewed_at=ENDED, source="review:x")
    return store


def decide(store: FakeStore, lines: dict[str, bytes], label: str = "neutral", prediction_id: str = PREDICTION_ID) -> None:
    settle(
        prediction_id, label, labels=LABELS, settled_by="lead-1", store=store, write_ground_truth=lines.__setitem__, now=NOW
    )  # fmt: skip


def test_a_tie_gets_the_lead_s_label_and_its_ground_truth_line() -> None:
    store, lines = reviewed("negative", "positive"), dict[str, bytes]()
    decide(store, lines)
    item = store.items[PREDICTION_ID]
    assert (item["human_label"], item["reviewed_at"], item["votes"]) == ("neutral", NOW, {"negative": 1, "positive": 1})
    assert json.loads(lines[KEY])["groundTruthData"]["data"] == "neutral"
    assert "open_state" not in item


@pytest.mark.parametrize(
    ("store", "label", "prediction_id", "named"),
    [
        (reviewed("negative", "positive"), "sarcastic", PREDICTION_ID, "label 'sarcastic' is not one of negative, neutral, positive"),
        (reviewed("negative", "positive"), "neutral", "another", "no prediction 'another'"),
        (reviewed("negative", "negative"), "neutral", PREDICTION_ID, "has a label"),
        (FakeStore.holding(prediction(), review_state="in_review"), "neutral", PREDICTION_ID, "is in_review"),
    ],
)
def test_what_is_not_disputed_is_refused_with_the_reason(store: FakeStore, label: str, prediction_id: str, named: str) -> None:
    lines = dict[str, bytes]()
    with pytest.raises(CannotSettle, match=named):
        decide(store, lines, label, prediction_id)
    assert lines == {}


def test_two_leads_at_once_leave_one_label_in_the_record_and_in_the_line() -> None:
    store, lines = reviewed("negative", "positive"), dict[str, bytes]()

    def write(key: str, body: bytes) -> None:
        lines[key] = body
        store.settle(PREDICTION_ID, "positive", settled_by="the other", settled_at=NOW)

    with pytest.raises(CannotSettle, match="somebody else"):
        settle(PREDICTION_ID, "neutral", labels=LABELS, settled_by="lead-1", store=store, write_ground_truth=write, now=NOW)
    assert store.items[PREDICTION_ID]["human_label"] == "positive"
    assert json.loads(lines[KEY])["groundTruthData"]["data"] == "positive"
