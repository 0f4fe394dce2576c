"""One file's records as labelled texts. What cannot be used is collected, or left out and counted, as the options say."""

from __future__ import annotations

import datetime as dt
import math
import os
import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from contracts.groups import group_of, text_digest
from contracts.labels import LONGEST_NAME
from contracts.text import InvalidJson, InvalidText, TextTooLong, character_problem, checked_text, is_blank, parse_json
from local.texts.column_names import SPLIT_WORDS, TEST, TRAIN, VALIDATION, key_of
from local.texts.columns import Columns, choose, known
from local.texts.files import SAMPLE_RECORDS, Opened, RepeatedNames, open_records
from local.texts.moments import ALLOWED, moment
from local.texts.options import NO_COLUMN, ReadingOptions
from local.texts.problems import Problems, UnreadableFile, shown
from local.texts.quoting import UnreadableRecord
from local.texts.report import FileRead

BAD = "correct them, or leave them out: --on-bad drop"
_VOTES = "an object of whole numbers per label is needed"
_EVERY = 1_000
"""Records between two calls of ``progress``."""


@dataclass(slots=True)
class Text:
    """One usable record.

    Attributes:
        where: for problems that only show when all are read.
        digest: equal for texts that count as the same.
        label: as it stands in the file, its white space folded.
        time: grows with time; None where it is not known.
        votes: label as it stands in the file -> raters.
        cut: the record's text is longer.
    """

    where: str
    text: str
    digest: str
    label: str
    group: str
    has_group: bool
    slice: str
    split: str | None
    time: float | None
    votes: dict[str, int]
    cut: bool
    source: str


class BadRecord(ValueError):
    """A record cannot be used: the kind of problem, and what is wrong with this one.

    ``role``: of a column that may just as well not be read.
    """

    def __init__(self, kind: str, problem: str, allowed: str = "", role: str | None = None) -> None:
        super().__init__(problem)
        self.kind, self.role = kind, role
        self.cure = f"{allowed.strip()}. {BAD[0].upper()}{BAD[1:]}" if allowed else BAD


@dataclass
class Reader:
    """Reads files with the same options, and counts what it leaves out."""

    options: ReadingOptions
    longest: int
    problems: Problems
    progress: Callable[[int], None] = lambda _: None
    files: list[FileRead] = field(default_factory=list)
    columns: list[Columns] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def read(
        self, path: Path, *, split: str | None = None, place: str = "", like: Example | None = None, other: bool = False
    ) -> list[Text]:
        """All usable texts of one file.

        Args:
            split: where the whole file belongs; None leaves it to a column, or to a draw.
            place: what stands before ``line 7`` in a problem.
            like: a file of the same kind that was read before: its columns of text and label are these of this file, too.
            other: a file of another kind: a column that the user named and that it does not have is guessed.
        """
        texts: list[Text] = []
        count, file_name = 0, shown_name(path)
        try:
            opened = self._opened(path, strict=other)
            columns = Columns(("text",), "label")
            if opened.sample:
                said = known(opened.columns, self.options.columns) if other else self.options.columns
                same = {} if like is None else like.columns_of(opened, said)
                columns = choose(opened.columns, opened.sample, said | same, lambda: spread(self._opened(path, strict=other).records))
                columns = replace(columns, guessed=(*columns.guessed, *same))
                if like is not None:
                    columns = like.compared(columns, opened, file_name)
            for line, record in opened.records:
                count += 1
                if count % _EVERY == 0:
                    self.progress(_EVERY)
                found = self._usable(f"{place}line {line}", record, columns, file_name)
                if found is not None:
                    found.split = split or found.split
                    texts.append(found)
            if not count:
                first = (
                    ""
                    if not opened.header
                    else f" after the column names {', '.join(map(repr, opened.columns))[:80]}; --header no: there are none"
                )
                raise UnreadableFile(f"has no record{first}")
            self.files.append(FileRead(file_name, opened.encoding, opened.delimiter, opened.header, count))
            self.columns.append(columns)
        except UnreadableFile as error:
            self.problems.add_file(str(path), str(error))
        except OSError as error:
            self.problems.add_file(str(path), f"cannot be read: {error.strerror}")
        return texts

    def _opened(self, path: Path, *, strict: bool = False) -> Opened:
        """``strict``: a first line is names only if it has a known one, since in a short file no label may come again."""
        named = tuple(name for name in self.options.columns.values() if name != NO_COLUMN)
        return open_records(path, header=self.options.header, named=named, alone=strict, encoding=self.options.encoding)

    def _usable(self, where: str, record: dict[str, Any] | UnreadableRecord, columns: Columns, source: str) -> Text | None:
        problems = []
        if isinstance(record, RepeatedNames):
            self.left_out["lines that have the names of the columns again"] += 1
            return None
        if isinstance(record, UnreadableRecord):
            problems.append(BadRecord("records cannot be read", str(record)))
            values: dict[str, Any] = {}
        else:
            values = self._values(record, columns, problems)
        if problems and self.options.on_bad == "drop":
            self.left_out[problems[0].kind] += 1
            return None
        for problem in problems:
            self._add(problem, where, columns)
        if isinstance(long := values.get("text"), _TooLong):
            self._leave_long(where, long, counts=not problems)
        elif not problems:
            subject = values.pop("subject")
            values["text"] = str(values["text"])
            digest = text_digest(values["text"])
            group = group_of(values["text"], subject) if subject else f"text:{digest}"
            return Text(where, digest=digest, group=group, has_group=bool(subject), source=source, **values)
        return None

    def _add(self, problem: BadRecord, where: str, columns: Columns) -> None:
        """A guessed column that is not needed may just as well not be read: that costs no record."""
        if problem.role in columns.guessed:
            cure = f"{problem.cure}, or do not read the column: --{problem.role} {NO_COLUMN}"
            self.problems.add(problem.kind, where, str(problem), cure, (str(problem.role), NO_COLUMN))
        else:
            self.problems.add(problem.kind, where, str(problem), problem.cure, ("on_bad", "drop"))

    def _values(self, record: Mapping[str, Any], columns: Columns, problems: list[BadRecord]) -> dict[str, Any]:
        def tried(read: Callable[[], Any]) -> Any:
            try:
                return read()
            except BadRecord as problem:
                problems.append(problem)
                return None

        values = {"text": tried(lambda: self._text(record, columns)), "label": tried(lambda: label_of(record.get(columns.label)))}
        values["cut"] = isinstance(values["text"], _Cut)
        values["subject"] = tried(lambda: name_value("group", record, columns.group)) if columns.group else None
        values["slice"] = (tried(lambda: name_value("slice", record, columns.slice)) if columns.slice else None) or "all"
        values["split"] = tried(lambda: _split(record, columns.split)) if columns.split else None
        values["time"] = tried(lambda: _time(record, columns.time))
        values["votes"] = tried(lambda: _votes(record, columns)) if columns.votes or columns.votes_by_label else {}
        return values

    def _text(self, record: Mapping[str, Any], columns: Columns) -> str | _TooLong:
        value = text_value(record, columns.text)
        try:
            try:
                return checked_text("text", value, longest=self.longest)
            except TextTooLong as error:
                if self.options.long != "cut":
                    return _TooLong(error.problem.partition(":")[0], str(value))
                return _Cut(checked_text("text", self._short(str(value))))
        except InvalidText as error:
            empty = value is None or (isinstance(value, str) and is_blank(value))
            problem, _, allowed = str(error).partition(": ")
            raise BadRecord("texts are empty" if empty else "texts cannot be stored", problem, allowed) from None

    def _short(self, value: str) -> str:
        """The text cut at the end of a word."""
        text = unicodedata.normalize("NFC", value)
        words = text[: self.longest + 1].rsplit(None, 1)[0]
        return words if self.longest // 2 < len(words) <= self.longest else text[: self.longest]

    def _leave_long(self, where: str, text: _TooLong, *, counts: bool) -> None:
        """``counts``: nothing else keeps the record out."""
        if self.options.long == "refuse":
            cure = f"allowed are {self.longest:,} (dataset.max_text_chars). Cut them with --long cut, or leave them out: --long drop"
            self.problems.add("texts are too long", where, f"{text.problem}: {shown(text.value)}", cure, ("long", "cut"))
        elif counts:
            self.left_out[f"texts longer than {self.longest:,} characters (--long drop)"] += 1


@dataclass(frozen=True)
class Example:
    """A file that was read before others of its kind: the first training file of a folder.

    Attributes:
        labels: as they stand in it.
    """

    name: str
    columns: Columns
    labels: Set[str]

    def columns_of(self, opened: Opened, said: Mapping[str, str]) -> dict[str, str]:
        """Role -> column of text and label, where the other file has it, too, and the user said none."""
        found = {}
        for role, names in (("text", self.columns.text), ("label", (self.columns.label,))):
            same = [name for name in opened.columns if name in names] or [
                name for name in opened.columns if key_of(name) in map(key_of, names) and key_of(name)
            ]
            if role not in said and len(same) == 1:
                found[role] = same[0]
        return found

    def compared(self, columns: Columns, opened: Opened, name: str) -> Columns:
        """The other file's columns, with a note of those that are called otherwise.

        Raises:
            UnreadableFile: its label is another column, whose values are other ones: a file of test texts may have no labels.
        """
        notes = list(columns.notes)
        if key_of(columns.label) != key_of(self.columns.label):
            values = {" ".join(str(record.get(columns.label)).split()) for record in opened.sample}
            if 2 * len(values & self.labels) < len(values):
                raise UnreadableFile(
                    f"has no column {self.columns.label!r}, which is the label of {self.name}, and the values of {columns.label!r} are "
                    f"others, such as {shown(min(values))}: name the label's column as there, or take the file out of the folder"
                )
            notes.append(f"{name}: the label is column {columns.label!r}, and {self.columns.label!r} in {self.name}")
        if list(map(key_of, columns.text)) != list(map(key_of, self.columns.text)):
            here, there = (" + ".join(map(repr, names)) for names in (columns.text, self.columns.text))
            notes.append(f"{name}: the text is column {here}, and {there} in {self.name}")
        return replace(columns, notes=tuple(notes))


class _Cut(str):
    """What is left of a text that was too long."""

    __slots__ = ()


@dataclass(frozen=True)
class _TooLong:
    """A text that is longer than is allowed, and how long it is, in words."""

    problem: str
    value: str


def spread(records: Iterable[tuple[int, dict[str, Any] | UnreadableRecord]]) -> list[dict[str, Any]]:
    """As many records as are looked at, each as likely from one place of the file as from another (Vitter, 1985, algorithm R)."""
    kept: list[dict[str, Any]] = []
    draw = random.Random(0)  # noqa: S311  (a repeatable draw)
    for number, record in enumerate(record for _, record in records if isinstance(record, dict)):
        if number < SAMPLE_RECORDS:
            kept.append(record)
        elif (place := draw.randrange(number + 1)) < SAMPLE_RECORDS:
            kept[place] = record
    return kept


def shown_name(path: Path) -> str:
    """A file's name as it can be stored and printed: bytes that are not UTF-8, and control characters, are replaced."""
    name = os.fsencode(path.name).decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in name)


def text_value(record: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """One column as it is, or several as one text, each on a line of its own. Raises BadRecord."""
    if len(columns) == 1:
        return record.get(columns[0])
    parts = []
    for name in columns:
        value = record.get(name)
        if isinstance(value, list | tuple | dict | bytes):
            raise BadRecord("texts cannot be stored", f"{name} = {shown(value)} is no single value")
        parts.append("" if value is None else str(value).strip())
    return "\n".join(part for part in parts if part)


def label_of(value: Any) -> str:
    """A label as people have it: its white space is folded, a number is told as it stands in the file. Raises BadRecord."""
    return _label(value) if isinstance(value, str) else _other_label(value)


def _other_label(value: Any) -> str:
    """A label of JSON or Parquet that is no text."""
    if value is None:
        raise BadRecord("labels are empty", "label = None")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isnan(value):
        raise BadRecord("labels are empty", f"label = {value}")
    if isinstance(value, list | dict | tuple):
        raise BadRecord("labels are no single value", f"label = {shown(value)}: each text has one label")
    return _label(str(value))


@lru_cache(maxsize=4_096)
def _label(value: str) -> str:
    if is_blank(value):
        raise BadRecord("labels are empty", f"label = {shown(value)}")
    label = " ".join(unicodedata.normalize("NFC", value).split())
    if problem := character_problem(label):
        raise BadRecord("labels cannot be stored", f"label = {shown(label)} {problem}")
    if len(label) > LONGEST_NAME:
        raise BadRecord("labels are too long", f"label = {shown(label)} has {len(label)} characters: allowed are {LONGEST_NAME}")
    return label


def name_value(role: str, record: Mapping[str, Any], column: str | None) -> str | None:
    """A group or a slice as the file has it; a whole number has no decimals. None without one. Raises BadRecord."""
    value = record.get(column) if column else None
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as it was before a column with gaps made numbers of it
    if isinstance(value, int | float | Decimal | dt.date) and not isinstance(value, bool):
        value = str(value)
    try:
        return checked_text(role, value)
    except InvalidText as error:
        raise BadRecord(f"{role}s cannot be stored", f"{error}, or leave it out") from None


def _split(record: Mapping[str, Any], column: str | None) -> str | None:
    if column is None:
        return None
    split = SPLIT_WORDS.get(key_of(str(record.get(column) or "")))
    if split is None:
        allowed = f"{TRAIN[0]}, {VALIDATION[0]} or {TEST[0]}"
        raise BadRecord("splits are unknown", f"{column} = {shown(record.get(column))}: allowed are {allowed}")
    return split


def _time(record: Mapping[str, Any], column: str | None) -> float | None:
    value = record.get(column) if column else None
    if value is None or value == "":
        return None
    time = moment(value)
    if time is None:
        raise BadRecord("times cannot be read", f"{column} = {shown(value)}: allowed is {ALLOWED}", role="time")
    return time


def _votes(record: Mapping[str, Any], columns: Columns) -> dict[str, int]:
    """Votes by label as it stands in the file, without those that are 0."""
    if columns.votes_by_label:
        votes = {label: record.get(name) for name, label in columns.votes_by_label.items()}
    else:
        value = record.get(columns.votes) if columns.votes else None
        if value is None or value == "":
            return {}
        try:
            votes = parse_json(value) if isinstance(value, str) else value
        except InvalidJson:
            votes = value
        if not isinstance(votes, dict) or any(isinstance(count, str) for count in votes.values()):
            raise BadRecord("votes cannot be read", f"votes = {shown(value)}: {_VOTES}, or nothing", role="votes")
    counts = {label: _whole(count) for label, count in votes.items()}
    if None in counts.values():
        raise BadRecord("votes cannot be read", f"votes = {shown(votes)}: {_VOTES}", role="votes")
    return {label_of(label): count for label, count in counts.items() if count}


def _whole(value: Any) -> int | None:
    if value is None or value == "":
        return 0
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if number >= 0 and number.is_integer() else None
