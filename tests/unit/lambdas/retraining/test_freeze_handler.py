"""What the freeze reads beside the labels: served texts, joined with the records of their predictions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.common.prediction_store import PredictionStore
from lambdas.retraining.freeze_dataset import handler as entry
from lambdas.retraining.freeze_dataset.freeze import ServedText
from lambdas.retraining.freeze_dataset.served import CapturedText

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
AT = "2026-11-23T09:00:00Z"
ENVIRONMENT = entry.Environment(
    min_new_labels=1, holdout_share=0.5, data_bucket="data", predictions_table="predictions", dataset_parameter="/dataset", lookback_days=9,
    capture_bucket="capture", endpoint_name="endpoint", lookback_hours=1, reference_predictions=500,
)  # fmt: skip


class Table:
    """BatchGetItem with the projection that was asked for."""

    name = "predictions"

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = {item["prediction_id"]: item for item in items}
        self.meta = SimpleNamespace(client=self)

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803  (boto3's name)
        request = RequestItems[self.name]
        wanted = {request["ExpressionAttributeNames"].get(name, name) for name in request["ProjectionExpression"].split(", ")}
        found = [self.items[key["prediction_id"]] for key in request["Keys"] if key["prediction_id"] in self.items]
        return {"Responses": {self.name: [{name: value for name, value in item.items() if name in wanted} for item in found]}}


class Captured:
    left_out = 0

    def __init__(self, *_: Any) -> None:
        pass

    def newest(self, most: int, *, now: datetime, hours: int) -> list[CapturedText]:
        return [CapturedText(AT, f"p{n}", f"text {n}") for n in range(150)]


def served(monkeypatch: pytest.MonkeyPatch, items: list[dict[str, Any]]) -> list[ServedText]:
    monkeypatch.setattr(entry, "_environment", lambda: ENVIRONMENT)
    monkeypatch.setattr(entry, "_store", lambda: PredictionStore(Table(items)))
    monkeypatch.setattr(entry, "CapturedData", Captured)
    monkeypatch.setattr(entry, "client", lambda _: None)
    return entry._served(NOW)


def record(number: int, **changes: Any) -> dict[str, Any]:
    return {"prediction_id": f"p{number}", "text": f"text {number}", "label": "positive", **changes}


def test_served_texts_have_the_subjects_of_their_records(monkeypatch: pytest.MonkeyPatch) -> None:
    found = served(monkeypatch, [record(n, **({"subject": "ann"} if n % 2 else {})) for n in range(150)])
    assert found == [ServedText(f"text {n}", "ann" if n % 2 else None) for n in range(150)]


def test_a_served_text_whose_record_was_deleted_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record alone says whom the text is about. Without it nobody can tell that it shall be forgotten."""
    found = served(monkeypatch, [record(n) for n in range(100, 150)])
    assert found == [ServedText(f"text {n}") for n in range(100, 150)]


def test_a_record_without_a_text_keeps_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied = [{"prediction_id": f"p{n}"} for n in range(100)]
    assert len(served(monkeypatch, [*emptied, *(record(n) for n in range(100, 150))])) == 50
