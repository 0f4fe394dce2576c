"""The newest served texts, found in captured data as the endpoint writes it."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from lambdas.retraining.freeze_dataset.served import CapturedData, captured_texts

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


OTHERS = [
    "not json", "{}", "[]", line({"text": "x"}), line(None), line("x").replace("inferenceId", "other"), line("x")[:-30],
    line("é").encode()[:20] + "é".encode()[:1], "[" * 100_000, line("x").replace("inputs", "text"),
    line("x").replace('"data": "{', '"data": "e30='), line("a\x00"), line("\ufffe"),
]  # fmt: skip


@pytest.mark.parametrize("other", OTHERS, ids=range(len(OTHERS)))
def test_what_was_cut_or_not_sent_by_the_prediction_api_is_no_text(other: str | bytes) -> None:
    assert list(captured_texts(other)) == []


def test_a_line_that_is_not_utf_8_is_left_out_and_an_accent_has_one_form() -> None:
    assert list(captured_texts(line("caf?").encode().replace(b"?", b"\xe9"))) == []
    assert [item.text for item in captured_texts(line("cafe\u0301"))] == ["café"]


class Captures:
    """Captured files of one endpoint in a bucket of the embedded AWS."""

    def __init__(self, s3: Any) -> None:
        self.bucket = f"served-{uuid.uuid4().hex[:8]}"
        self.s3 = s3
        s3.create_bucket(Bucket=self.bucket)
        self.data = CapturedData(s3, self.bucket, "endpoint")

    def put(self, first: dt.datetime, *texts: str, variant: str = "champion") -> None:
        """One object, named by its first line's time; a line a second."""
        lines = [line(text, first + dt.timedelta(seconds=n), f"id-{text}") for n, text in enumerate(texts)]
        key = f"capture/endpoint/{variant}/{first:%Y/%m/%d/%H}/{first:%M-%S}-000-{uuid.uuid4()}.jsonl"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body="".join(f"{item}\n" for item in lines).encode())

    def put_lines(self, *lines: str | bytes, first: dt.datetime = NOW) -> None:
        body = b"".join((item if isinstance(item, bytes) else item.encode()) + b"\n" for item in lines)
        key = f"capture/endpoint/champion/{first:%Y/%m/%d/%H}/{first:%M-%S}-000-{uuid.uuid4()}.jsonl"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

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


def test_bad_lines_stop_no_freezing_and_are_counted(captures: Captures) -> None:
    """One that was cut within a character failed every retraining for seven days."""
    captures.put_lines(line("good"), *OTHERS, line("better", NOW + dt.timedelta(seconds=1)))
    assert captures.newest(10) == ["good", "better"]
    assert captures.data.left_out == len(OTHERS)


def test_a_text_that_was_captured_twice_is_there_once(captures: Captures) -> None:
    captures.put_lines(line("same"), line("same"))
    captures.put_lines(line("same"), line("other", prediction_id="p2"))
    assert sorted(captures.newest(10)) == ["other", "same"]


def test_a_call_that_only_compared_two_models_is_no_traffic(captures: Captures) -> None:
    captures.put_lines(line("asked", prediction_id="p1"), line("asked", prediction_id="pair-p1"), line("lonely", prediction_id="pair-p2"))
    assert (captures.newest(10), captures.data.left_out) == (["asked"], 0)


def test_a_line_ends_at_a_line_feed_only(captures: Captures) -> None:
    """JSON may have a carriage return between its values, and a text other line separators of Unicode."""
    captures.put_lines(line("one\u2028two\u0085three").replace("}, ", "},\r "), line("next", prediction_id="p2"))
    assert sorted(captures.newest(10)) == ["next", "one\u2028two\u0085three"]
