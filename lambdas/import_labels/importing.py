"""Labels of a bulk job enter the prediction table, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from lambdas.common.ground_truth import ground_truth_key, ground_truth_line
from lambdas.common.predictions import ImportedLabel
from lambdas.common.review import Consolidated, HumanAnswer, ReviewState
from lambdas.import_labels.manifest import LabeledRow


class Store(Protocol):
    """What is needed of :class:`lambdas.common.predictions.PredictionStore`."""

    def get(self, prediction_id: str) -> Mapping[str, Any] | None: ...
    def put_label(self, imported: ImportedLabel) -> bool: ...
    def store_label(
        self, prediction_id: str, consolidated: Consolidated, answers: Sequence[HumanAnswer], *, reviewed_at: str, source: str
    ) -> bool: ...


@dataclass
class Count:
    """Rows by what became of them."""

    labels_stored: int = 0
    undecided: int = 0
    already_labeled: int = 0


@dataclass(frozen=True)
class LabelImport:
    """Stores the labels of one labelling job, each once, with its ground-truth line.

    Args:
        source: ``ground-truth:<job>``.
        clock: the time now, UTC; read for each row, because readers of new labels keep a watermark.
    """

    store: Store
    write_ground_truth: Callable[[str, bytes], None]
    source: str
    retention: timedelta
    clock: Callable[[], datetime]

    def run(self, rows: Iterable[LabeledRow]) -> Count:
        """Store every decided row. A second run over the same manifest stores nothing more."""
        count = Count()
        for row in rows:
            if row.consolidated.label is None:
                # An undecided row changes no record: a review of the same prediction may still be open.
                count.undecided += 1
            elif self._store(row, row.consolidated.label):
                count.labels_stored += 1
            else:
                count.already_labeled += 1
        return count

    def _store(self, row: LabeledRow, label: str) -> bool:
        item = self.store.get(row.prediction_id) if row.prediction_id else None
        now = self.clock()
        if item is None or row.prediction_id is None:
            return self.store.put_label(
                ImportedLabel(
                    prediction_id=row.content_id,
                    text=row.text,
                    consolidated=row.consolidated,
                    answers=row.answers,
                    reviewed_at=now.isoformat(),
                    source=self.source,
                    expires_at=int((now + self.retention).timestamp()),
                )
            )
        if item["review_state"] == ReviewState.REVIEWED.value:
            return False
        key = ground_truth_key(row.prediction_id, row.labelled_at)
        self.write_ground_truth(key, ground_truth_line(row.prediction_id, label))
        return self.store.store_label(row.prediction_id, row.consolidated, row.answers, reviewed_at=now.isoformat(), source=self.source)
