"""Rows of a labelling job's output manifest, whichever consolidation wrote them.

Our own consolidation writes an object; AWS's built-in one writes the index of the class, as a number or as text, with
the name in the metadata. The built-in ``confidence`` is ignored: with one worker it is 0.00 for a perfectly good label.

Source: SageMaker developer guide, "Output Data".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lambdas.common.review import Consolidated, HumanAnswer

PREDICTION_ID = "prediction-id"
"""Manifest field that ties a row to a prediction."""


class InvalidManifest(ValueError):
    """A line is not a row of an output manifest; the text names the line."""


@dataclass(frozen=True)
class LabeledRow:
    """``labelled_at`` is ISO 8601; ``prediction_id`` is None for a text that no prediction is behind."""

    text: str
    prediction_id: str | None
    consolidated: Consolidated
    answers: tuple[HumanAnswer, ...]
    labelled_at: str

    @property
    def content_id(self) -> str:
        """Record id of a text without a prediction: equal texts are one record, so none is labelled twice."""
        return f"text-{hashlib.sha256(self.text.encode()).hexdigest()[:32]}"


def read_rows(lines: Iterable[bytes], attribute: str, labels: Sequence[str]) -> Iterator[LabeledRow]:
    """Every row of the manifest, undecided ones too.

    Args:
        attribute: the job's label attribute name.
        labels: the job's categories, in order.

    Raises:
        InvalidManifest: naming the line.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            yield _row(row, attribute, labels)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidManifest(f"line {number} of the output manifest: {type(error).__name__}: {error}") from None


def _row(row: Mapping[str, Any], attribute: str, labels: Sequence[str]) -> LabeledRow:
    metadata = row[f"{attribute}-metadata"]
    value = row.get(attribute)
    answers: tuple[HumanAnswer, ...] = ()
    if isinstance(value, Mapping):
        consolidated = _own(value, labels)
        answers = tuple(HumanAnswer(str(answer["worker_id"]), answer["label"], 0.0) for answer in value.get("answers", []))
    else:
        consolidated = _built_in(value, metadata, labels)
    return LabeledRow(
        text=str(row["source"]),
        prediction_id=row.get(PREDICTION_ID),
        consolidated=consolidated,
        answers=answers,
        labelled_at=str(metadata["creation-date"]),
    )


def _own(value: Mapping[str, Any], labels: Sequence[str]) -> Consolidated:
    label = value["label"]
    if label is not None and label not in labels:
        return _undecided(f"label {label!r} is not one of {', '.join(labels)}")
    return Consolidated(label, dict(value["votes"]), float(value["agreement"]), str(value["reason"]))


def _built_in(value: Any, metadata: Mapping[str, Any], labels: Sequence[str]) -> Consolidated:
    if "failure-reason" in metadata:
        return _undecided(f"not labelled: {metadata['failure-reason']}")
    label = metadata.get("class-name")
    if label is None and value is not None:
        label = labels[int(value)] if str(value).isdigit() and int(value) < len(labels) else value
    if label not in labels:
        return _undecided(f"label {label!r} is not one of {', '.join(labels)}")
    return Consolidated(str(label), {str(label): 1}, 1.0, "the service's own consolidation; single votes are not in the manifest")


def _undecided(reason: str) -> Consolidated:
    return Consolidated(None, {}, 0.0, f"undecided: {reason}")
