"""A team's own labelled texts, from CSV or JSON lines, as dataset rows. Every problem is named with its line; nothing is guessed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.dataset import Row, votes_problem
from contracts.groups import group_of
from contracts.text import InvalidJson, InvalidText, TextTooLong, checked_text, parse_json
from local.texts.files import UnreadableFile, UnreadableRecord, read_records
from local.texts.options import ReadingOptions
from local.texts.report import FileRead, ReadingReport
from local.texts.splitting import split_by_group

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
    try:
        for line, record in read_records(path, FIELDS, REQUIRED):
            found = [str(record)] if isinstance(record, UnreadableRecord) else list(_problems(record, labels, longest))
            if found or isinstance(record, UnreadableRecord):
                problems += [f"line {line}: {problem}" for problem in found]
            else:
                row = _row(record, labels, path.name)
                first_line, first = rows.setdefault(row.id, (line, row))
                repeated += first_line != line
                if first.label != row.label:
                    problems.append(
                        f"line {line}: label = {row.label!r}: line {first_line} has the same text as {first.label!r}; keep one of them"
                    )
            if len(problems) >= MOST_PROBLEMS:
                break
    except UnreadableFile as error:
        raise InvalidTexts(f"{path} {error}") from None
    if not rows and not problems:
        problems.append("there is no line with a text")
    if problems:
        raise InvalidTexts(f"{path} cannot be used:\n  " + "\n  ".join(problems[:MOST_PROBLEMS]))
    return OwnTexts([row for _, row in rows.values()], repeated)


@dataclass(frozen=True)
class PreparedTexts:
    """A file of texts, ready to be written as a dataset version.

    Attributes:
        splits: rows of train, validation and test.
        labels: ids of the labels.
        label_names: id -> what people see, for the labels whose name is not their id.
        raters: text of a row -> single votes as labels, in a random order; empty where the file has no votes.
        key_examples: rows that every model must label right; they are in no split.
    """

    splits: Mapping[str, list[Row]]
    labels: tuple[str, ...]
    label_names: dict[str, str]
    report: ReadingReport
    raters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    key_examples: tuple[Row, ...] = ()


def prepare(path: Path, options: ReadingOptions, *, labels: Sequence[str] | None, longest: int, seed: int) -> PreparedTexts:  # noqa: ARG001  (the reader that takes them follows)
    """Read, check and split a file or a folder of labelled texts.

    Args:
        labels: ids that the settings pin; None takes the labels of the file.
        longest: characters that a text may have.
        seed: of the split and of every sample.

    Raises:
        InvalidTexts: whose text is the whole report of what is wrong.
    """
    if labels is None:
        raise InvalidTexts("labels from the file are not read yet: name them in dataset.labels")
    own = read_texts(path, labels, longest=longest)
    splits = split_by_group(own.rows, seed=seed)
    missing = missing_labels(splits, labels)
    if missing:
        raise InvalidTexts(f"{path}: no text for {', '.join(missing)}. Every label must be in every split: give more texts and groups")
    report = ReadingReport(
        files=(FileRead(path.name, "UTF-8", "commas" if path.suffix == ".csv" else "", len(own.rows) + own.repeated),),
        columns={"text": ("text",), "label": ("label",)},
        left_out={"repeated lines": own.repeated},
        rows={name: len(rows) for name, rows in splits.items()},
    )
    return PreparedTexts(splits, tuple(labels), {}, report)


def missing_labels(splits: Mapping[str, Sequence[Row]], labels: Sequence[str]) -> list[str]:
    """``"split: label"`` for each label that has no text in a split, and so could not be learnt or measured there."""
    return [f"{split}: {label}" for split, rows in splits.items() for label in labels if label not in Counter(row.label for row in rows)]


def _problems(fields: Mapping[str, Any], labels: Sequence[str], longest: int) -> Iterator[str]:
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        yield f"field {unknown[0][:80]!r} is unknown: allowed are {', '.join(FIELDS)}"
    for name in ("text", "group", "slice"):
        if name in fields or name in REQUIRED:
            try:
                checked_text(name, fields.get(name), longest=longest if name == "text" else None)
            except TextTooLong as error:
                yield f"{error} (dataset.max_text_chars)"
            except InvalidText as error:
                yield str(error) if name in REQUIRED else f"{error}, or leave it out"
    label = fields.get("label")
    if label not in labels:
        yield f"label = {_shown(label)}: allowed are {', '.join(labels)} (dataset.labels)"
    votes = _votes(fields.get("votes", {}), labels)
    if votes is None:
        example = f"{{{json.dumps(labels[0])}: 2}}"
        yield f"votes = {_shown(fields['votes'])}: a JSON object of whole numbers per label, such as {example}, or leave it out"
    elif label in labels and (problem := votes_problem(str(label), votes)):
        yield problem


def _shown(value: Any) -> str:
    return repr(value)[:200]


def _votes(value: Any, labels: Sequence[str]) -> dict[str, int] | None:
    """Votes per label from an object or its JSON; None when it is neither."""
    try:
        votes = parse_json(value) if isinstance(value, str) else value
    except InvalidJson:
        return None
    if not isinstance(votes, dict) or not all(type(count) is int and count >= 0 for count in votes.values()):
        return None
    return votes if set(votes) <= set(labels) else None


def _row(fields: Mapping[str, Any], labels: Sequence[str], source: str) -> Row:
    """A record without a problem as a row, its texts in Unicode's normal form C."""
    text, label = checked_text("text", fields["text"]), str(fields["label"])
    return Row(
        id=group_of(text, None),
        text=text,
        label=label,
        votes=_votes(fields.get("votes", {}), labels) or {},
        group=group_of(text, checked_text("group", fields["group"]) if fields.get("group") else None),
        slice=checked_text("slice", fields.get("slice", "all")),
        source=f"file:{source}",
    )
