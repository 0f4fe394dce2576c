"""The texts of a file as questions to people: each different text once. A row that nobody can be asked about has its line and a reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from contracts.groups import group_of, text_digest
from contracts.text import InvalidText, TextTooLong, checked_text, is_blank
from local.texts.columns import choose_text
from local.texts.files import RepeatedNames, open_records
from local.texts.problems import UnreadableFile
from local.texts.quoting import UnreadableRecord
from local.texts.records import BadRecord, name_value, text_value

_NO_HEADER = "no line names the columns (--header yes: the first one does)"

FORGOTTEN = "its group was forgotten on request (labels forget), so nobody is asked: remove the row"


@dataclass(frozen=True)
class Wanted:
    """A text that people shall label. ``key`` is equal for texts that count as the same, ``group`` as in a dataset row. ``subject``: of the
    group's column, None without one."""

    line: int
    key: str
    text: str
    group: str
    subject: str | None = None


@dataclass(frozen=True)
class Refused:
    """A row that nobody is asked about. ``kind``: what rows with the same reason have in common, in words that follow a number."""

    line: int
    reason: str
    kind: str


@dataclass(frozen=True)
class Texts:
    """What a file holds: each row is in one of the first three. ``repeated``: rows whose text stands further up. ``read_as``: how the file
    was read, in words."""

    wanted: tuple[Wanted, ...]
    refused: tuple[Refused, ...]
    repeated: int
    read_as: str


def read_texts(path: Path, columns: Mapping[str, str], *, header: str, longest: int, encoding: str | None = None) -> Texts:
    """Read a table, JSON lines or Parquet; a bad row costs no other one.

    Args:
        columns: ``text`` (several are joined by ``+``) and ``group``, by name or number; without ``text`` it is guessed.
        header: ``auto``, ``yes`` or ``no``: whether the first record of a table names its columns.
        longest: characters of a text.
        encoding: Python's name of the file's encoding; None: it is recognised.

    Raises:
        UnreadableFile: it is missing or of another form; the text says what to do.
    """
    opened = open_records(path, header=header, named=tuple(columns.values()), alone=True, encoding=encoding)
    if not opened.sample:
        why = next((f": line {line} {record}" for line, record in opened.records if isinstance(record, UnreadableRecord)), "")
        raise UnreadableFile(f"has no record that can be read{why}")
    names, group = choose_text(opened.columns, opened.sample, columns)
    wanted: dict[str, Wanted] = {}
    refused: list[Refused] = []
    repeated = 0
    for line, record in opened.records:
        if isinstance(record, UnreadableRecord):
            kind = "lines have the names of the columns again" if isinstance(record, RepeatedNames) else "records cannot be read"
            refused.append(Refused(line, str(record), kind))
            continue
        value = None
        try:
            value = text_value(record, names)
            text = checked_text("text", value, longest=longest)
            subject = name_value("group", record, group)
        except TextTooLong as error:
            refused.append(Refused(line, f"{error}: shorten it, or raise dataset.max_text_chars", "texts are too long"))
            continue
        except InvalidText as error:
            empty = value is None or (isinstance(value, str) and is_blank(value))
            refused.append(Refused(line, str(error), "texts are empty" if empty else "texts cannot be stored"))
            continue
        except BadRecord as error:
            refused.append(Refused(line, str(error), error.kind))
            continue
        key = text_digest(text)
        repeated += key in wanted
        wanted.setdefault(key, Wanted(line, key, text, group_of(text, subject), subject))
    header_said = "the first line names the columns" if opened.header else _NO_HEADER
    words = [opened.encoding, opened.delimiter, header_said if opened.header is not None else "", f"texts: {' + '.join(names)}"]
    return Texts(tuple(wanted.values()), tuple(refused), repeated, ", ".join(word for word in words if word))


def without(texts: Texts, forgotten: Collection[str]) -> Texts:
    """Nobody is asked about a subject that `labels forget` was told of."""
    gone = [Refused(one.line, FORGOTTEN, "groups were forgotten") for one in texts.wanted if one.subject in forgotten]
    kept = tuple(one for one in texts.wanted if one.subject not in forgotten)
    return replace(texts, wanted=kept, refused=tuple(sorted((*texts.refused, *gone), key=lambda one: one.line)))
