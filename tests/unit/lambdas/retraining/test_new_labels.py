"""Reading new labels: from a little before the watermark to today, each day once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_fakes import prediction

from lambdas.common.predictions import StoredPrediction
from lambdas.retraining.new_labels import OVERLAP, labels_since

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Index:
    """Labels as the table's index answers: by day, above a sort key."""

    def __init__(self, *times: datetime) -> None:
        self.labels = [StoredPrediction.parse(prediction().item() | {"reviewed_at": time.isoformat()}) for time in times]
        self.asked: list[str] = []

    def labels_of_day(self, day: str, *, after: str | None = None) -> Iterator[StoredPrediction]:
        self.asked.append(day)
        times = [(one, one.reviewed_at or "") for one in self.labels]
        yield from (one for one, time in times if time[:10] == day and (after is None or time > after))


def read(index: Index, watermark: str | None) -> set[str | None]:
    return {one.reviewed_at for one in labels_since(index, watermark, now=NOW, lookback_days=30)}


@given(st.lists(st.integers(0, 40 * 24 * 60), max_size=20), st.one_of(st.none(), st.integers(0, 29 * 24 * 60)))
def test_every_label_after_the_watermark_is_read_and_none_far_before_it(minutes: list[int], back: int | None) -> None:
    times = [NOW - timedelta(minutes=count) for count in minutes]
    watermark = None if back is None else NOW - timedelta(minutes=back)
    oldest = NOW - timedelta(days=30) if watermark is None else watermark - OVERLAP
    found = read(Index(*times), None if watermark is None else watermark.isoformat())
    assert found == {time.isoformat() for time in times if time > oldest}


@pytest.mark.parametrize(
    ("watermark", "days"),
    [
        ("2026-11-20T11:00:00+00:00", ["2026-11-20"]),
        ("2026-11-19T00:05:00+00:00", ["2026-11-18", "2026-11-19", "2026-11-20"]),
        ("2026-11-20T12:05:00+00:00", ["2026-11-20"]),
    ],
)
def test_each_day_is_asked_once(watermark: str, days: list[str]) -> None:
    index = Index()
    read(index, watermark)
    assert index.asked == days


def test_the_look_back_bounds_a_very_old_watermark() -> None:
    index = Index()
    read(index, "2020-01-01T00:00:00+00:00")
    assert len(index.asked) == 31
