"""``labels export --since``: labels stored or corrected after a time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.account import Account
from cli.labels import stores
from contracts.amendments import CORRECT, CORRECTED, FORGET, Amendment, corrected_basis, group_digest
from lambdas.common.predictions import StoredPrediction

SINCE = "2026-11-20T10:00:00+00:00"
OLD, NEW = "2026-11-01T00:00:00+00:00", "2026-11-21T00:00:00+00:00"


def correction(target: str, at: str) -> Amendment:
    return Amendment(CORRECT, at, "operator-1", target, "negative", "irony")


def record(name: str, reviewed_at: str | None, change: Amendment | None = None) -> StoredPrediction:
    item: dict[str, Any] = {
        "prediction_id": name,
        "text": "t",
        "created_at": OLD,
        "expires_at": 1,
        "attempt": 1,
        "review_state": "reviewed",
    }
    item |= {"human_label": "negative", "reviewed_at": reviewed_at} if reviewed_at else {}
    return StoredPrediction.parse(item | ({"label_basis": corrected_basis(change, "positive")} if change else {}))


class Bucket:
    """Amendments, each with the time at which S3 got it."""

    def __init__(self, amendments: dict[Amendment, str]) -> None:
        self.objects = {one.key: (one.to_json().encode(), datetime.fromisoformat(at)) for one, at in amendments.items()}

    def get_paginator(self, _: str) -> Bucket:
        return self

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:  # noqa: N803  (boto3's names)
        for key, (_, at) in sorted(self.objects.items()):
            if key.startswith(Prefix) and key > StartAfter:
                yield {"Contents": [{"Key": key, "LastModified": at.astimezone(UTC)}]}

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  (boto3's names)
        return {"Body": io.BytesIO(self.objects[Key][0])}


def test_a_label_that_was_corrected_since_is_exported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    late, slow = correction("prediction:late", NEW), correction("prediction:slow", "2026-11-20T09:59:00+00:00")
    early, fresh = correction("prediction:early", "2026-11-20T09:30:00+00:00"), correction("prediction:fresh", NEW)
    others = [correction("prediction:gone", NEW), correction("train:5", NEW), correction("prediction:plain", NEW)]
    forgotten = Amendment(FORGET, NEW, "operator-1", group_digest("subject:bob"))
    bucket = Bucket(
        {late: NEW, slow: "2026-11-20T10:00:01+00:00", early: "2026-11-20T09:30:00+00:00", fresh: NEW, forgotten: NEW}
        | dict.fromkeys([*others, correction("prediction:late", "2026-11-22T00:00:00+00:00")], NEW)
    )
    records = {
        name: record(name, at, change)
        for name, at, change in (
            ("late", OLD, late), ("slow", "2026-11-02T00:00:00+00:00", slow), ("early", OLD, early), ("fresh", NEW, fresh),
            ("plain", OLD, None),
        )
    }  # fmt: skip
    account: Any = SimpleNamespace(
        client={"s3": bucket}.__getitem__,
        names=SimpleNamespace(bucket=lambda name: name),
        settings=SimpleNamespace(retention=SimpleNamespace(prediction_days=9)),
    )
    monkeypatch.setattr(stores.Stage, "store", SimpleNamespace(get=records.get))
    monkeypatch.setattr(stores, "labels_since", lambda *_, **__: iter([records["fresh"]]))
    stage = stores.Stage(cast("Account", account))
    assert [one.prediction_id for one in stage.exported(SINCE)] == ["late", "slow", "fresh"]
    assert [one.prediction_id for one in stage.exported(None)] == ["fresh"], "without a time the index has them all"
    assert records["late"].label_basis and records["late"].label_basis["method"] == CORRECTED
