"""A team's own labelled texts, from CSV or JSON lines, as dataset rows: every problem named with its line, nothing guessed."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_code.data import Row, votes_problem
from model_code.text import normal_text

FIELDS = ("text", "label", "group", "slice", "votes")
REQUIRED = ("text", "label")
MOST_PROBLEMS = 20


class InvalidTexts(ValueError):
    """The file cannot be used; the text names every problem (twenty at most) with its line, the value and what is allowed."""


@dataclass(frozen=True)
class OwnTexts:
    """Rows in the file's order; ``repeated`` counts lines whose text had come before with the same label."""

    rows: list[Row]
    repeated: int


def read_texts(path: Path, labels: Sequence[str], *, longest: int) -> OwnTexts:
    """Read ``.csv`` (with a header) or ``.jsonl`` (an object a line), UTF-8.

    Fields: ``text`` and ``label``; optionally ``group`` (what must not be split apart: a document, a customer; what callers of the
    API will send as ``subject``), ``slice`` (what evaluation reports by) and ``votes`` (raters per label, a JSON object).

    Args:
        labels: ``dataset.labels`` of the settings.
        longest: ``dataset.max_text_chars`` of the settings.

    Raises:
        InvalidTexts: the file is missing, of another kind, or has a line that cannot be used.
    """
    rows: dict[str, tuple[int, Row]] = {}
    problems: list[str] = []
    repeated = 0
    for line, fields in _lines(path):
        found = list(_problems(fields, labels, longest))
        if found:
            problems += [f"line {line}: {problem}" for problem in found]
        else:
            row = _row(fields, path.name)
            first_line, first = rows.setdefault(row.id, (line, row))
            repeated += first_line != line
            if first.label != row.label:
                problems.append(
                    f"line {line}: label = {row.label!r}: line {first_line} has the same text as {first.label!r}; keep one of them"
                )
        if len(problems) >= MOST_PROBLEMS:
            break
    if not rows and not problems:
        problems.append("there is no line with a text")
    if problems:
        raise InvalidTexts(f"{path} cannot be used:\n  " + "\n  ".join(problems[:MOST_PROBLEMS]))
    return OwnTexts([row for _, row in rows.values()], repeated)


def missing_labels(splits: Mapping[str, Sequence[Row]], labels: Sequence[str]) -> list[str]:
    """``"split: label"`` for each label without a text in a split: it could be neither learnt nor measured there."""
    return [f"{split}: {label}" for split, rows in splits.items() for label in labels if label not in Counter(row.label for row in rows)]


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            if path.suffix == ".csv":
                reader = csv.DictReader(stream)
                absent = [name for name in REQUIRED if name not in (reader.fieldnames or ())]
                if absent:
                    raise InvalidTexts(
                        f"{path} has no column {' and '.join(absent)}: its first line must name the columns {', '.join(FIELDS)}"
                    )
                for fields in reader:
                    yield reader.line_num, {key: value for key, value in fields.items() if value not in (None, "") or key in REQUIRED}
            elif path.suffix == ".jsonl":
                for number, line in enumerate(stream, 1):
                    if line.strip():
                        yield number, _object(line)
            else:
                raise InvalidTexts(f"{path} is no .csv and no .jsonl file: these two are read")
    except FileNotFoundError:
        raise InvalidTexts(f"{path} does not exist") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidTexts(f"{path} cannot be read as UTF-8 {path.suffix.lstrip('.')}: {error}") from None


def _object(line: str) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as error:
        return {"_problem": f"not JSON: {error}"}
    return content if isinstance(content, dict) else {"_problem": f"not a JSON object but {type(content).__name__}"}


def _problems(fields: Mapping[Any, Any], labels: Sequence[str], longest: int) -> Iterator[str]:
    if "_problem" in fields:
        yield str(fields["_problem"])
        return
    unknown = [str(name) for name in fields if name not in FIELDS]
    if unknown:
        yield f"field {unknown[0]!r} is unknown: allowed are {', '.join(FIELDS)}"
    text, label = fields.get("text"), fields.get("label")
    if not isinstance(text, str) or not text.strip():
        yield f"text = {text!r}: a text that is not empty is needed"
    elif len(text) > longest:
        yield f"text has {len(text)} characters: at most {longest} (dataset.max_text_chars)"
    if label not in labels:
        yield f"label = {label!r}: allowed are {', '.join(labels)} (dataset.labels)"
    for name in ("group", "slice"):
        if name in fields and not (isinstance(fields[name], str) and fields[name].strip()):
            yield f"{name} = {fields[name]!r}: a text that is not empty, or leave it out"
    votes = _votes(fields["votes"], labels) if "votes" in fields else {}
    if votes is None:
        yield f"votes = {fields['votes']!r}: a JSON object of whole numbers per label, such as {{{json.dumps(labels[0])}: 2}}"
    elif label in labels and (problem := votes_problem(str(label), votes)):
        yield problem


def _votes(value: Any, labels: Sequence[str] | None = None) -> dict[str, int] | None:
    """Votes per label from an object or its JSON; None when it is neither."""
    try:
        votes = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not isinstance(votes, dict) or not all(
        isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in votes.values()
    ):
        return None
    return votes if labels is None or set(votes) <= set(labels) else None


def _row(fields: Mapping[str, Any], source: str) -> Row:
    text = str(fields["text"])
    digest = hashlib.sha256(normal_text(text).encode()).hexdigest()[:16]
    return Row(
        id=f"text:{digest}",
        text=text,
        label=str(fields["label"]),
        votes=_votes(fields.get("votes", {})) or {},
        # As lambdas/freeze_dataset names the groups of new labels: a caller's ``subject`` finds its texts of before.
        group=f"subject:{fields['group']}" if fields.get("group") else f"text:{digest}",
        slice=str(fields.get("slice") or "all"),
        source=f"file:{source}",
    )
