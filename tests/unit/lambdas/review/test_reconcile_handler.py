"""The reconciler from the table to the queue: one request that cannot be sent stops no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from review_fakes import prediction

from lambdas.common.observability import metrics
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewState
from lambdas.review.reconcile import handler as entry

CONTEXT = SimpleNamespace(function_name="f", memory_limit_in_mb=128, invoked_function_arn="arn:aws:lambda:x", aws_request_id="r")


def stored(prediction_id: str, **changes: Any) -> StoredPrediction:
    given = {"prediction_id": prediction_id, "created_at": "2025-01-01T00:00:00+00:00", **changes}
    return StoredPrediction.parse(prediction().item() | given)


class Queue:
    def __init__(self, *refused: str) -> None:
        self.refused, self.sent, self.reasons = refused, list[str](), list[str]()

    def send_message(self, **request: str) -> None:
        message = json.loads(request["MessageBody"])
        prediction_id = message["prediction_id"]
        self.reasons.append(message["reason"])
        if prediction_id in self.refused:
            raise ClientError({"Error": {"Code": "InvalidMessageContents", "Message": "no"}}, "SendMessage")
        self.sent.append(prediction_id)


def run(monkeypatch: pytest.MonkeyPatch, queue: Queue, *requested: StoredPrediction) -> dict[str, Any]:
    def open_reviews(state: ReviewState) -> Iterator[StoredPrediction]:
        yield from requested if state is ReviewState.REQUESTED else ()

    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("table", "https://queue", 60, 60))
    monkeypatch.setattr(entry, "_store", lambda: SimpleNamespace(open_reviews=open_reviews))
    monkeypatch.setattr(entry, "client", lambda service: queue)
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    monkeypatch.setattr(metrics.provider, "service", "test")
    answer: dict[str, Any] = entry.handler({}, CONTEXT)
    return answer


def test_a_record_that_makes_no_request_is_counted_and_the_others_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue()
    answer = run(monkeypatch, queue, stored("one", review_reason="boredom"), stored("two"))
    assert (queue.sent, answer["resent"], answer["unusable"], answer["requested"]) == (["two"], 1, 1, 2)


def test_a_pair_whose_request_was_lost_is_sent_again_as_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record was ``not_required`` before, and its transaction made it ``requested`` (``lambdas/prediction/score_pair``)."""
    queue = Queue()
    answer = run(monkeypatch, queue, stored("one", review_reason="pair"))
    assert (queue.sent, queue.reasons, answer["resent"]) == (["one"], ["pair"], 1)


def test_a_request_that_the_queue_refuses_fails_the_run_after_the_others_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue("one")
    with pytest.raises(entry.NotSentAgain, match="1 of 2 requests could not be queued, first one"):
        run(monkeypatch, queue, stored("one"), stored("two"))
    assert queue.sent == ["two"]
