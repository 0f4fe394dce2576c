"""Human labels that no dataset version holds yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol

from lambdas.common.predictions import StoredPrediction

OVERLAP = timedelta(minutes=10)
"""An index is a little behind its table, so labels stored just before the watermark may have been missed: read them again."""


FROM_A_JOB = "labeling"
"""What ``source`` of a row begins with when the command ``label`` made a first version of a labelling job."""
_IMPORTED = (f"{FROM_A_JOB}:", "ground-truth:")


def is_imported(stored: StoredPrediction) -> bool:
    """Whether the label comes from a labelling job. The job may be what the first version was made of: then its labels are not new."""
    return (stored.label_source or "").startswith(_IMPORTED)


class LabelIndex(Protocol):
    """What is needed of :class:`lambdas.common.prediction_store.PredictionStore`."""

    def labels_of_day(self, day: str, *, after: str | None = None) -> Iterator[StoredPrediction]: ...


def labels_since(store: LabelIndex, watermark: str | None, *, now: datetime, lookback_days: int) -> Iterator[StoredPrediction]:
    """Records with a human label stored after ``watermark`` (less a short overlap), day by day up to ``now``.

    Args:
        watermark: ISO 8601 with zone, or None for everything of the last ``lookback_days``.
        now: with zone; bounds the days that are asked for.
        lookback_days: how long predictions are kept; the index has no first day.
    """
    start = now - timedelta(days=lookback_days)
    if watermark is not None:
        start = max(start, datetime.fromisoformat(watermark) - OVERLAP)
    after = start.isoformat()
    day = start.date()
    while day <= now.date():
        yield from store.labels_of_day(day.isoformat(), after=after if day == start.date() else None)
        day += timedelta(days=1)
