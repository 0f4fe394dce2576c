"""Labels of a bulk job enter the prediction table, each once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import ClientError

from lambdas.common.ground_truth import ground_truth_key, ground_truth_line
from lambdas.common.predictions import Forgotten, ImportedLabel, InvalidPrediction, StoredPrediction
from lambdas.common.review import Consolidated, HumanAnswer, ReviewState
from lambdas.labeling.import_labels.manifest import LabeledRow, RowWithoutLabel

NAMED_PROBLEMS = 20
"""At most this many problems are named in the execution's output and in the log. The counts include all."""


class Store(Protocol):
    """What is needed of :class:`lambdas.common.prediction_store.PredictionStore`."""

    def get(self, prediction_id: str) -> StoredPrediction | None: ...
    def forgotten(self, subject: str) -> Forgotten | None: ...
    def put_label(self, imported: ImportedLabel) -> bool: ...
    def store_label(
        self, prediction_id: str, consolidated: Consolidated, answers: Sequence[HumanAnswer], *, reviewed_at: str, source: str
    ) -> bool: ...


@dataclass
class Count:
    """Rows by what became of them; ``problems`` names the first of those that gave no label, each with its line and reason.

    They are the job's, however often its import is called: what an earlier call has stored counts as stored.
    """

    labels_stored: int = 0
    undecided: int = 0
    """People could not decide them. One that no prediction is behind waits for a lead, as a disputed review does."""
    already_labeled: int = 0
    """By another job, by a review or a lead, or by an earlier row of the same text."""
    failed: int = 0
    """Ground Truth could not label them."""
    forgotten: int = 0
    """Their subject shall be forgotten (`labels forget`), whenever people labelled them."""
    unusable: int = 0
    """They cannot be read, or no record can be made of them."""
    problems: list[dict[str, Any]] = field(default_factory=list)

    def without_label(self, row: RowWithoutLabel) -> None:
        self.failed += row.failed
        self.unusable += not row.failed
        if len(self.problems) < NAMED_PROBLEMS:
            self.problems.append({"line": row.line, "reason": row.reason})


@dataclass(frozen=True)
class LabelImport:
    """Stores the labels of one labelling job, each once, with its ground-truth line.

    Args:
        source: ``ground-truth:<job>``, or ``labeling:<job>`` of a job of the hosted service.
        clock: the time now, UTC; read for each row, because readers of new labels keep a watermark.
    """

    store: Store
    write_ground_truth: Callable[[str, bytes], None]
    source: str
    retention: timedelta
    clock: Callable[[], datetime]
    _forgotten: dict[str, bool] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)
    """Ids of the records that a row has been counted for."""
    _written: set[str] = field(default_factory=set)

    @property
    def written(self) -> int:
        """Labels that this call has stored, also when it failed half-way."""
        return len(self._written)

    def run(self, rows: Iterable[LabeledRow | RowWithoutLabel]) -> Count:
        """Store every decided row, whatever the others are. A second run over the same manifest stores nothing more."""
        count = Count()
        for row in rows:
            if isinstance(row, RowWithoutLabel):
                count.without_label(row)
            elif row.subject is not None and self._is_forgotten(row.subject):
                count.forgotten += 1
            else:
                self._take(row, count)
        return count

    def _is_forgotten(self, subject: str) -> bool:
        if subject not in self._forgotten:
            self._forgotten[subject] = self.store.forgotten(subject) is not None
        return self._forgotten[subject]

    def _take(self, row: LabeledRow, count: Count) -> None:
        try:
            stored = self._store(row)
        except ClientError as error:
            problem = error.response["Error"]
            if problem["Code"] != "ValidationException":
                raise  # it may pass, and the whole import can be done again
            count.without_label(RowWithoutLabel(row.line, f"the table refuses it: {problem['Message']}"[:300], failed=False))
            return
        except InvalidPrediction as error:
            count.without_label(RowWithoutLabel(row.line, f"its record cannot be used: {error}"[:300], failed=False))
            return
        if row.consolidated.label is None:
            count.undecided += 1
        else:
            count.labels_stored += stored
            count.already_labeled += not stored

    def _store(self, row: LabeledRow) -> bool:
        """Whether this job has given the row's record its label, now or in an earlier call.

        A text that people could not decide is disputed, so that a lead decides it. A prediction keeps its own review for that.
        """
        label = row.consolidated.label
        stored = self.store.get(row.prediction_id) if row.prediction_id else None
        now = self.clock()
        if stored is None or row.prediction_id is None:
            written = self.store.put_label(
                ImportedLabel(
                    prediction_id=row.content_id,
                    text=row.text,
                    consolidated=row.consolidated,
                    answers=row.answers,
                    reviewed_at=now.isoformat(),
                    source=self.source,
                    expires_at=int((now + self.retention).timestamp()),
                    subject=row.subject,
                )
            )
            return self._counts(row.content_id, label, None if written else self.store.get(row.content_id))
        if label is None:
            return False
        if stored.review_state in (ReviewState.REVIEWED, ReviewState.FORGOTTEN):
            return self._counts(row.prediction_id, label, stored)
        key = ground_truth_key(row.prediction_id, row.labelled_at)
        self.write_ground_truth(key, ground_truth_line(row.prediction_id, label))
        reviewed_at = now.isoformat()
        written = self.store.store_label(row.prediction_id, row.consolidated, row.answers, reviewed_at=reviewed_at, source=self.source)
        return self._counts(row.prediction_id, label, None if written else self.store.get(row.prediction_id))

    def _counts(self, record: str, label: str | None, found: StoredPrediction | None) -> bool:
        """Whether the record has this label from this job. ``found``: what was there already; None when it was written now."""
        if label is None:
            return False
        ours = found is None or (found.label_source, found.human_label) == (self.source, label)
        first = record not in self._counted
        self._counted.add(record)
        if found is None:
            self._written.add(record)
        return ours and first
