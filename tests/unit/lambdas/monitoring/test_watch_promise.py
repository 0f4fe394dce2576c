"""Which labels speak of the champion's answers that nobody would have reviewed, and what they say against the promise."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewReason
from lambdas.monitoring.watch_promise import handler as entry
from lambdas.monitoring.watch_promise.audits import Audits, champions_audits

_NUMBERS = itertools.count()


def label(human: str | None = "good", model: str | None = "good", **given: Any) -> StoredPrediction:
    item = {
        "prediction_id": f"p{next(_NUMBERS)}", "text": "t", "created_at": "2026-11-23T10:00:00+00:00", "expires_at": 1, "attempt": 1,
        "review_state": "reviewed", "review_reason": "audit_sample", "variant": "champion", "model_version": "m1", "label": model,
        "human_label": human, **given,
    }  # fmt: skip
    return StoredPrediction.parse({name: value for name, value in item.items() if value is not None})


def test_only_audit_labels_of_the_model_that_is_champion_now_count() -> None:
    labels = [
        label("bad", model_version="m0"),
        label("bad", variant="challenger"),
        label(),
        label(None),
        label("bad", review_reason=ReviewReason.LOW_CONFIDENCE.value),
        label("bad", review_reason=ReviewReason.PAIR.value),
        label("bad", model=None),
        label("bad", variant="challenger", model_version="m2"),
    ]
    assert champions_audits(labels) == Audits("m1", (True, False))


@pytest.mark.parametrize("labels", [[], [label(variant="challenger")], [label(None)]])
def test_without_an_audited_answer_of_a_champion_there_is_nothing_to_watch(labels: list[StoredPrediction]) -> None:
    assert champions_audits(labels) is None


class Days:
    """A store whose labels all came on one day."""

    def __init__(self, labels: list[StoredPrediction]) -> None:
        self.labels, self.asked_for = labels, list[str]()

    def labels_of_day(self, day: str) -> Iterator[StoredPrediction]:
        self.asked_for.append(day)
        return iter(self.labels if len(self.asked_for) == 2 else ())


@pytest.mark.parametrize(("right", "refuted"), [(27, False), (3, True)])
def test_the_evidence_of_all_days_becomes_a_metric(right: int, refuted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    days, told = Days([*(label() for _ in range(right)), *(label("bad") for _ in range(5))]), dict[str, float]()
    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("predictions", 0.15, 0.95, 2))
    monkeypatch.setattr(entry, "prediction_store", lambda _: days)
    monkeypatch.setattr(entry.metrics, "add_metric", lambda name, _, value: told.update({name: value}))
    result = inspect.unwrap(entry.handler)({}, None)
    assert (result["status"], result["model_version"], result["labels"], result["wrong"]) == ("watched", "m1", 5 + right, 5)
    assert (len(days.asked_for), days.asked_for) == (3, sorted(days.asked_for))
    assert (result["refuted_after"] is not None, told["PromiseEvidence"] >= 1) == (refuted, refuted)
    assert (told["AuditLabels"], told["AuditErrors"]) == (5 + right, 5)
