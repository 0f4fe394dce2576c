"""The newest served texts, found in captured data as the endpoint writes it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from lambdas.freeze_dataset.served import CapturedData, captured_texts

NOW = dt.datetime(2026, 11, 23, 10, 30, tzinfo=dt.UTC)


def line(text: Any, at: dt.datetime = NOW, prediction_id: str = "p1", **about: Any) -> str:
    sent = {"observedContentType": "application/json", "mode": "INPUT", "data": json.dumps({"inputs": text}), "encoding": "JSON"}
    event = {"eventId": "e", "inferenceId": prediction_id, "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", **about}
    return json.dumps({"captureData": {"endpointInput": sent}, "eventMetadata": event, "eventVersion": "0"}, ensure_ascii=False)


def test_a_line_has_its_texts() -> None:
    assert [(item.at, item.prediction_id, item.text) for item in captured_texts(line("one \u2028 text"))] == [
        ("2026-11-23T10:30:00Z", "p1", "one \u2028 text")
    ]
    assert [item.text for item in captured_texts(line(["a", "b", " ", 3]))] == ["a", "b"]


@pytest.mark.parametrize("other", ["not json", "{}", "[]", line({"text": "x"}), line(None), line("x").replace("inferenceId", "other")])
def test_what_the_prediction_api_did_not_send_is_no_text(other: str) -> None:
    assert list(captured_texts(other)) == []


class Captures:
    """Captured files of one endpoint in a bucket of the embedded AWS."""

    def __init__(self, s3: Any) -> None:
        self.bucket = f"served-{uuid.uuid4().hex[:8]}"
        self.s3 = s3
        s3.create_bucket(Bucket=self.bucket)
        self.data = CapturedData(s3, self.bucket, "reviewloop-dev")

    def put(self, first: dt.datetime, *texts: str, variant: str = "champion") -> None:
        """One object, named by its first line's time; a line a second."""
        lines = [line(text, first + dt.timedelta(seconds=n), f"id-{text}") for n, text in enumerate(texts)]
        key = f"capture/reviewloop-dev/{variant}/{first:%Y/%m/%d/%H}/{first:%M-%S}-000-{uuid.uuid4()}.jsonl"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body="".join(f"{item}\n" for item in lines).encode())

    def newest(self, most: int, hours: int = 24) -> list[str]:
        return [item.text for item in self.data.newest(most, now=NOW, hours=hours)]


@pytest.fixture
def captures(aws: Any) -> Iterator[Captures]:
    yield Captures(aws("s3"))


def test_the_newest_of_both_variants_are_found_oldest_first(captures: Captures) -> None:
    captures.put(NOW - dt.timedelta(minutes=9), "a", "b")
    captures.put(NOW - dt.timedelta(minutes=5), "c", variant="challenger")
    captures.put(NOW - dt.timedelta(minutes=1), "d", "e")
    assert captures.newest(100) == ["a", "b", "c", "d", "e"]
    assert captures.newest(3) == ["c", "d", "e"]
    assert captures.newest(1) == ["e"]


def test_earlier_hours_are_looked_at_until_there_are_enough_and_no_further_than_asked(captures: Captures) -> None:
    captures.put(NOW, "now")
    captures.put(NOW - dt.timedelta(hours=3), "three")
    captures.put(NOW - dt.timedelta(hours=30), "thirty")
    assert captures.newest(10) == ["three", "now"]
    assert captures.newest(10, hours=48) == ["thirty", "three", "now"]
    assert captures.newest(2, hours=48) == ["three", "now"]


def test_nothing_captured_is_no_text(captures: Captures) -> None:
    assert captures.newest(10) == []
