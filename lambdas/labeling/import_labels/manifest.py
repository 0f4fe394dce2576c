"""Rows of a labelling job's output manifest, whichever consolidation wrote them.

Our own consolidation writes an object with label ids; AWS's built-in one writes the index of the class, as a number or as
text, with the name that people saw in the metadata. The built-in ``confidence`` is ignored: with one worker it is 0.00 for a perfectly
good label.

Source: SageMaker developer guide, "Output Data".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.labels import CANNOT_TELL, listed
from contracts.text import checked_text, json_lines, kind, parse_json
from lambdas.common.labels import Labels
from lambdas.common.review import PREDICTION_ID_FORM, Consolidated, HumanAnswer, is_prediction_id, shown

PREDICTION_ID = "prediction-id"
"""Manifest field that ties a row to a prediction."""
SUBJECT = "subject"
"""Manifest field: whom or what the text is about. All texts about one subject stay in one split, and go when it is forgotten."""
_LONGEST_REASON = 300
_MOST_VOTES = 1_000


@dataclass(frozen=True)
class LabeledRow:
    """``labelled_at`` is ISO 8601; ``prediction_id`` is None for a text that no prediction is behind."""

    line: int
    text: str
    prediction_id: str | None
    consolidated: Consolidated
    answers: tuple[HumanAnswer, ...]
    labelled_at: str
    subject: str | None = None

    @property
    def content_id(self) -> str:
        """Record id of a text without a prediction: equal texts are one record, so none is labelled twice."""
        return f"text-{hashlib.sha256(self.text.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class RowWithoutLabel:
    """A row that gives no label: ``failed``, as Ground Truth says, or of a form that cannot be read. ``reason`` says why."""

    line: int
    reason: str
    failed: bool


def read_rows(lines: Iterable[bytes], attribute: str, labels: Labels) -> Iterator[LabeledRow | RowWithoutLabel]:
    """Every row of the manifest: undecided ones, failed ones and unreadable ones too, so that none vanishes.

    Args:
        lines: end at ``\\n`` only.
        attribute: the job's label attribute name.
        labels: the job's categories.
    """
    for number, line in json_lines(lines):
        try:
            yield _row(number, parse_json(line), attribute, labels)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            what = f"has no field {error}" if isinstance(error, KeyError) else str(error)
            yield RowWithoutLabel(number, shown(what, longest=_LONGEST_REASON), failed=False)


def _row(number: int, row: Any, attribute: str, labels: Labels) -> LabeledRow | RowWithoutLabel:
    if not isinstance(row, Mapping):
        raise TypeError(f"must be an object, not {kind(row)}")
    metadata = row[f"{attribute}-metadata"]
    if not isinstance(metadata, Mapping):
        raise TypeError(f"{attribute}-metadata must be an object, not {kind(metadata)}")
    if "failure-reason" in metadata:
        return RowWithoutLabel(number, shown(f"not labelled: {metadata['failure-reason']}", longest=_LONGEST_REASON), failed=True)
    value = row.get(attribute)
    answers: tuple[HumanAnswer, ...] = ()
    if isinstance(value, Mapping):
        consolidated, answers = _own(value, labels), tuple(_answers(value.get("answers")))
    else:
        consolidated = _built_in(value, metadata, labels)
    return LabeledRow(
        line=number,
        text=checked_text("source", row["source"]),
        prediction_id=_prediction_id(row.get(PREDICTION_ID)),
        consolidated=consolidated,
        answers=answers,
        labelled_at=_time(metadata["creation-date"]),
        subject=None if row.get(SUBJECT) is None else checked_text(SUBJECT, row[SUBJECT]),
    )


def _prediction_id(value: Any) -> str | None:
    if value is None:
        return None
    if not is_prediction_id(value):
        raise ValueError(f"{PREDICTION_ID} {str(value)[:80]!r} is not the id of a prediction: allowed are {PREDICTION_ID_FORM}")
    return str(value)


def _time(value: Any) -> str:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"creation-date {str(value)[:80]!r} is not an ISO 8601 time") from None
    return str(value)


def _answers(given: Any) -> Iterator[HumanAnswer]:
    for answer in given if isinstance(given, list) else []:
        if isinstance(answer, Mapping):
            yield HumanAnswer.given(answer.get("worker_id"), answer.get("label"))


def _own(value: Mapping[str, Any], labels: Labels) -> Consolidated:
    label, votes, agreement = value["label"], value["votes"], value["agreement"]
    if label is not None and label not in labels.ids:
        return _undecided(f"label {str(label)[:80]!r} is not one of {listed(labels.ids)}")
    if not isinstance(votes, Mapping) or not all(_is_count(count) and name in labels.ids for name, count in votes.items()):
        raise ValueError(f"votes {str(votes)[:80]} must be an object of labels and whole numbers up to {_MOST_VOTES}")
    if isinstance(agreement, bool) or not isinstance(agreement, int | float) or not 0 <= agreement <= 1:
        raise ValueError(f"agreement {str(agreement)[:80]} must be a number within 0..1")
    return Consolidated(label, dict(votes), float(agreement), shown(str(value["reason"]), longest=_LONGEST_REASON))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_VOTES


def _built_in(value: Any, metadata: Mapping[str, Any], labels: Labels) -> Consolidated:
    label = metadata.get("class-name")
    if label is None and value is not None:
        text, ids = str(value), labels.ids
        label = ids[int(text)] if text.isascii() and text.isdigit() and len(text) < 4 and int(text) < len(ids) else value
    if label == CANNOT_TELL:
        return _undecided("the service's own consolidation says that people cannot tell")
    label = labels.id_of(label) if isinstance(label, str) else label
    if label not in labels.ids:
        return _undecided(f"label {str(label)[:80]!r} is not one of {listed(labels.ids)}")
    return Consolidated(str(label), {str(label): 1}, 1.0, "the service's own consolidation; single votes are not in the manifest")


def _undecided(reason: str) -> Consolidated:
    return Consolidated(None, {}, 0.0, f"undecided: {shown(reason, longest=_LONGEST_REASON)}")
