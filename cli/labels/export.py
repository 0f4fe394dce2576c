"""People's labels as files: JSON lines with everything that is known of each, an augmented manifest, or a table that is safe to open."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, TextIO

from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import MODEL_PRIOR

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters, and their full-width forms, with which a spreadsheet begins a formula (OWASP, "CSV Injection")."""

_LATER_FORMULA = re.compile(rf"""([;|\t\r\n])(?=[\s"]*[{re.escape("".join(_FORMULA))}])""")
"""What may begin a cell, or a line, in a spreadsheet that does not separate at commas: there a quotation mark that stands in the middle of
a cell quotes nothing, and one at its beginning is not shown. Excel separates at semicolons in German, French and many other settings."""
_MARK = "\ufeff"
"""Without a byte order mark Excel takes a table for the code page of the machine."""


class Format(StrEnum):
    """``MANIFEST``: Ground Truth's output manifest, which ``import_labels`` reads, too."""

    JSONL = "jsonl"
    MANIFEST = "manifest"
    CSV = "csv"


def document(stored: StoredPrediction) -> dict[str, Any]:
    """One label with its provenance: who said what, by pseudonym, which model said what, by which rule and guidelines, and when."""
    basis = {**(stored.label_basis or {}), **({} if stored.model_prior is None else {MODEL_PRIOR: stored.model_prior})}
    return {
        "id": f"prediction:{stored.prediction_id}",
        "text": stored.text,
        "subject": stored.subject,
        "label": stored.human_label,
        "votes": dict(stored.votes or {}),
        "agreement": stored.agreement,
        "answers": [
            {
                "worker": one.worker_id,
                "label": one.label,
                "seconds": one.seconds,
                **({} if one.suggestion_shown is None else {"suggestion_shown": one.suggestion_shown}),
            }
            for one in stored.answers or ()
        ],
        "reviewed_at": stored.reviewed_at,
        "source": stored.label_source,
        "outcome": stored.review_outcome,
        "guidelines": basis.pop("guidelines", None),
        "basis": basis,
        "model": None
        if stored.label is None
        else {
            "label": stored.label,
            "confidence": stored.confidence,
            "version": stored.model_version,
            "variant": stored.variant,
            "answered_at": stored.created_at,
            "review_reason": stored.review_reason,
        },
    }


def manifest_line(stored: StoredPrediction) -> dict[str, Any]:
    """Source: SageMaker developer guide, "Output Data"."""
    answers = [{"worker_id": one.worker_id, "label": one.label} for one in stored.answers or ()]
    of_prediction = {} if stored.label is None else {"prediction-id": stored.prediction_id}
    about = {} if stored.subject is None else {"subject": stored.subject}
    content = {
        "label": stored.human_label,
        "votes": dict(stored.votes or {}),
        "agreement": stored.agreement or 0.0,
        "reason": stored.review_outcome or "",
        "answers": answers,
    }
    metadata = {
        "type": "groundtruth/custom",
        "job-name": stored.label_source or "",
        "human-annotated": "yes",
        "creation-date": stored.reviewed_at or stored.created_at,
    }
    return {"source": stored.text, **about, **of_prediction, "label": content, "label-metadata": metadata}


def table_row(stored: StoredPrediction) -> dict[str, str]:
    """The same as :func:`document`, flat; every cell is a text that no spreadsheet takes for a formula."""
    found = document(stored)
    model = found.pop("model") or dict.fromkeys(("label", "confidence", "version", "variant", "answered_at", "review_reason"))
    flat = {**found, **{f"model_{name}": value for name, value in model.items()}}
    return {name: safe_cell(value) for name, value in flat.items()}


def safe_cell(value: Any) -> str:
    """A cell as text. An apostrophe stands before all that would begin a formula, whatever the delimiter; numbers of ours never do."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    guarded = _LATER_FORMULA.sub(r"\1'", text)
    return f"'{guarded}" if text.lstrip(" ").startswith(_FORMULA) else guarded


def write(records: Iterable[StoredPrediction], form: Format, stream: TextIO) -> int:
    """Returns how many labels were written. A table always has its header, and a byte order mark before it."""
    if form is Format.CSV:
        return _table(records, stream)
    made = document if form is Format.JSONL else manifest_line
    return sum(bool(stream.write(json.dumps(made(one), ensure_ascii=False, allow_nan=False) + "\n")) for one in records)


def _table(records: Iterable[StoredPrediction], stream: TextIO) -> int:
    stream.write(_MARK)
    writer = csv.DictWriter(stream, list(table_row(_NOTHING)), quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    return sum(bool(writer.writerow(table_row(one))) for one in records)


_NOTHING = StoredPrediction.parse(
    {"prediction_id": "none", "text": "none", "created_at": "", "expires_at": 0, "review_state": "reviewed", "attempt": 1}
)
