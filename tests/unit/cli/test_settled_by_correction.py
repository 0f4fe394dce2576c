"""``labels correct`` of a review that ended without a label does all that a lead's decision does."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from review_fakes import PREDICTION_ID, FakeStore, prediction

from cli.labels.stores import Stage
from contracts.amendments import CORRECT, Amendment
from lambdas.common.consolidation import Plurality
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.review import HumanAnswer

CHANGE = Amendment(CORRECT, "2026-11-25T09:00:00+00:00", "operator-1", f"prediction:{PREDICTION_ID}", "negative", "irony")


class FakeStage(Stage):
    @property
    def store(self) -> PredictionStore:
        return self.account.store  # type: ignore[no-any-return, attr-defined]


def disputed(**changes: Any) -> FakeStore:
    store = FakeStore.holding(prediction(), review_state="in_review", **changes)
    given = [HumanAnswer("w1", "negative", 1.0), HumanAnswer("w2", "positive", 1.0)]
    consolidated = Plurality(("negative", "positive")).consolidate(given)
    assert store.store_label(PREDICTION_ID, consolidated, given, reviewed_at="2026-11-23T12:30:00+00:00", source="review:x")
    store.items[PREDICTION_ID].update(changes)
    return store


@pytest.mark.parametrize(
    ("changes", "judges"),
    [({}, True), ({"model_prior": 0.9}, False), ({"label": None}, False)],
    ids=["a review", "the model had a part in it", "a text of a bulk labelling"],
)
def test_a_disputed_review_gets_its_label_and_its_ground_truth_line(changes: dict[str, Any], judges: bool) -> None:
    store, written = disputed(**changes), dict[str, bytes]()

    def put_object(*, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        assert (Bucket, ContentType) == ("the-capture", "application/jsonlines")
        written[Key] = Body

    client = SimpleNamespace(put_object=put_object)
    account: Any = SimpleNamespace(store=store, client=lambda _: client, names=SimpleNamespace(bucket=lambda name: f"the-{name}"))
    found = store.get(PREDICTION_ID)
    assert found is not None and FakeStage(account).correct(found, CHANGE)
    item = store.items[PREDICTION_ID]
    assert (item["human_label"], item["review_outcome"], item["reviewed_at"]) == ("negative", "settled by operator-1", CHANGE.at)
    said = {key: json.loads(body)["groundTruthData"]["data"] for key, body in written.items()}
    assert said == ({f"ground-truth/2026/11/23/12/{PREDICTION_ID}.jsonl": "negative"} if judges else {})
