"""Tables, JSON lines and Parquet as records with the line where each begins: what is malformed is named with its cure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from contracts.text import InvalidJson, kind, parse_json
from local.texts import encodings
from local.texts.column_names import ALIASES, key_of
from local.texts.encodings import Encoding
from local.texts.moments import moment
from local.texts.problems import UnreadableFile

TABLES, JSON_LINES, PARQUET = (".csv", ".tsv", ".tab"), (".jsonl", ".ndjson", ".json"), (".parquet",)
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
KINDS = "read are .csv, .tsv, .jsonl (also with .gz) and .parquet"
MOST_MALFORMED = 100
"""Records with malformed quoting: beyond them the quotation marks of the file mean something else."""
SAMPLE_RECORDS = 5_000
_HEAD_CHARACTERS = 1 << 16
_HEAD_RECORDS = 200
_LONG_FIELD = 60
_LINE_END = re.compile(r"\r\n|\n|\r")
_CURES = {
    ".xlsx": f"is a spreadsheet: {encodings.UTF8_CURE}",
    ".xls": f"is a spreadsheet: {encodings.UTF8_CURE}",
    ".zip": "is an archive: unpack it",
    ".txt": "may be anything: name it .tsv or .csv if it is a table",
}


class UnreadableRecord(ValueError):
    """One record cannot be read; the text says why."""


class RepeatedNames(UnreadableRecord):
    """A line that has the names of the columns again, as where several tables were put into one file."""

    def __init__(self) -> None:
        super().__init__("has the names of the columns again")


Fields = list[str] | UnreadableRecord
Record = dict[str, Any] | UnreadableRecord


@dataclass(frozen=True)
class Opened:
    """A file whose records can be read.

    Attributes:
        encoding, delimiter: in words; ``delimiter`` is empty where there is none.
        header: whether the first record named the columns; None where every record names its fields.
        columns: names in their order. For JSON lines those of the first records.
        sample: the first records that could be read.
        records: all records, each with the line on which it begins.
    """

    encoding: str
    delimiter: str
    header: bool | None
    columns: tuple[str, ...]
    sample: tuple[dict[str, Any], ...]
    records: Iterator[tuple[int, Record]]


def kind_of(path: Path) -> str:
    """The suffix that says how a file is read, without ``.gz``."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), "")


def is_read(path: Path) -> bool:
    return kind_of(path) in (*TABLES, *JSON_LINES, *PARQUET)


def open_records(
    path: Path, *, header: str = "auto", named: Sequence[str] = (), alone: bool = False, encoding: str | None = None
) -> Opened:
    """Look at a file and make its records ready to be read.

    Args:
        header: ``auto``, ``yes`` or ``no``: whether the first record of a table names its columns.
        named: columns that the user named; they help to see a header.
        alone: whether a table of one column will do, since only texts are wanted.
        encoding: as :func:`~local.texts.codec_names.codec_of` spells it; None: it is recognised. Parquet has its own.

    Raises:
        UnreadableFile: missing, of another kind, or in an encoding that cannot be told. Reading the records may raise it, too.
    """
    suffix = kind_of(path)
    if not is_read(path):
        raise UnreadableFile(f"{_CURES.get(suffix, 'is of an unknown kind')}; {KINDS}")
    if suffix in PARQUET:
        return _parquet(path)
    found = encodings.encoding_of(path, encoding)
    if suffix in JSON_LINES:
        if suffix == ".json" and not _has_objects_on_lines(path, found):
            raise UnreadableFile(f"is one JSON document: write one object per line and name it .jsonl; {KINDS}")
        sample, records = _sampled(_json_records(path, found))
        columns = dict.fromkeys(name for record in sample for name in record)
        return Opened(found.words, "", None, tuple(columns), sample, records)
    return _table(path, found, prefer="\t" if suffix != ".csv" else ",", header=header, named=named, alone=alone)


def _sampled(records: Iterator[tuple[int, Record]]) -> tuple[tuple[dict[str, Any], ...], Iterator[tuple[int, Record]]]:
    first = list(islice(records, SAMPLE_RECORDS))
    return tuple(record for _, record in first if isinstance(record, dict)), chain(first, records)


def _json_records(path: Path, encoding: Encoding) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(encodings.lines(path, encoding), 1):
        if not line.strip():
            continue
        if encoding.damaged and (problem := encodings.damage(line, encoding)):
            yield number, UnreadableRecord(problem)
            continue
        try:
            content = parse_json(line)
        except InvalidJson as error:
            yield number, UnreadableRecord(str(error))
            continue
        yield number, content if isinstance(content, dict) else UnreadableRecord(f"is not a JSON object but {kind(content)}")


def _has_objects_on_lines(path: Path, encoding: Encoding) -> bool:
    """Whether the first two lines are a JSON object each, as in many a file that is called .json."""
    first = list(islice((line for line in encodings.lines(path, encoding) if line.strip()), 2))
    try:
        return len(first) > 1 and all(isinstance(parse_json(line), dict) for line in first)
    except InvalidJson:
        return False


def _parquet(path: Path) -> Opened:
    try:
        import duckdb
    except ImportError:
        raise UnreadableFile("is Parquet, and duckdb, which reads it, is not installed: run `make install`, or save it as CSV") from None
    if not path.exists():
        raise UnreadableFile("does not exist")
    try:
        connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        literally = re.sub(r"[*?\[]", r"[\g<0>]", str(path))  # these signs would stand for any file
        found = connection.execute("SELECT * FROM read_parquet(?)", [literally])
        names = tuple(column[0] for column in found.description)
    except duckdb.Error as error:
        raise UnreadableFile(f"cannot be read as Parquet: {str(error).splitlines()[0][:200]}") from None

    def records() -> Iterator[tuple[int, Record]]:
        number = 0
        try:
            while rows := found.fetchmany(10_000):
                for row in rows:
                    number += 1
                    yield number, dict(zip(names, row, strict=True))
        except duckdb.Error as error:
            raise UnreadableFile(f"is damaged after record {number}: {str(error).splitlines()[0][:200]}") from None

    sample, all_records = _sampled(records())
    return Opened("Parquet", "", None, names, sample, all_records)


def _table(path: Path, encoding: Encoding, *, prefer: str, header: str, named: Sequence[str], alone: bool) -> Opened:
    head, whole = _head(path, encoding)
    separator, delimiter, quote = _form(head, whole=whole, prefer=prefer)
    by_line = delimiter == "\t" and _lines_are_records(path, encoding)

    def all_fields() -> Iterator[tuple[int, Fields]]:
        text = encodings.blocks(path, encoding)
        found = split_lines(text) if by_line else split(text, delimiter, quote)
        return islice(found, 1, None) if separator else found

    first = [fields for _, fields in islice(all_fields(), SAMPLE_RECORDS) if isinstance(fields, list)]
    if not first:
        raise UnreadableFile("has no record that can be read" if any(True for _ in all_fields()) else "is empty")
    has_header = header == "yes" or (header == "auto" and _is_header(first, named, alone=alone))
    width = len(first[0]) if has_header else Counter(map(len, first)).most_common(1)[0][0]
    names = _column_names(first[0] if has_header else [""] * width)
    if len(names) == 1 and not alone:
        raise UnreadableFile(
            f"has one column only ({shown_header(first[0])}): a text and its label are needed, separated by "
            "commas, semicolons, tabs or bars; a text with such a character stands in quotation marks"
        )
    counted = "the header" if has_header else "most records"

    def records() -> Iterator[tuple[int, Record]]:
        for line, fields in _after_header(all_fields()) if has_header else all_fields():
            yield line, RepeatedNames() if has_header and fields == first[0] else _named(fields, names, counted, encoding)

    sample, ready = _sampled(records())
    words = DELIMITERS[delimiter] + (", quoted by '" if quote == "'" else "")
    return Opened(encoding.words, words, has_header, names, sample, ready)


def _after_header(records: Iterator[tuple[int, Fields]]) -> Iterator[tuple[int, Fields]]:
    """All but the first record that can be read, which is the header."""
    for line, fields in records:
        if isinstance(fields, list):
            yield from records
            return
        yield line, fields


def _named(fields: Fields, names: Sequence[str], counted: str, encoding: Encoding) -> Record:
    if isinstance(fields, UnreadableRecord):
        return fields
    if encoding.damaged and (problem := encodings.damage("\t".join(fields), encoding)):
        return UnreadableRecord(problem)
    if len(fields) == len(names):
        return dict(zip(names, fields, strict=True))
    if len(fields) > len(names) and not any(fields[len(names) :]):
        return dict(zip(names, fields[: len(names)], strict=True))
    cure = "put a text with the delimiter in quotation marks" if len(fields) > len(names) else "give every column, if need be empty"
    return UnreadableRecord(f"has {len(fields)} fields where {counted} has {len(names)}: {cure}".replace("records has", "records have"))


def shown_header(fields: Sequence[str]) -> str:
    return repr(",".join(fields)[:80])


def _column_names(header: Sequence[str]) -> tuple[str, ...]:
    """Names as they stand, each once: a column without a name is ``column 3``, a second ``text`` is ``text (column 4)``."""
    names: list[str] = []
    for number, name in enumerate((name.strip() for name in header), 1):
        told = name or f"column {number}"
        names.append(f"{told} (column {number})" if told in names else told)
    return tuple(names)


def _head(path: Path, encoding: Encoding) -> tuple[str, bool]:
    """The first characters, and whether they are the whole file."""
    text = ""
    for block in encodings.blocks(path, encoding):
        text += block
        if len(text) > _HEAD_CHARACTERS:
            return text[:_HEAD_CHARACTERS], False
    return text, True


def _form(head: str, *, whole: bool, prefer: str) -> tuple[bool, str, str]:
    """Whether the first line names the delimiter (``sep=;``), the delimiter, and the quotation mark."""
    said = re.match(r"sep=([,;\t|])\r?\n", head, re.IGNORECASE)
    order = sorted(DELIMITERS, key=lambda sign: sign != prefer)
    if said:
        return True, said[1], '"'
    best: tuple[float, float] = (0, 0)
    form = (prefer, '"')
    for delimiter in order:
        for quote in ('"', "'"):
            if quote == "'" and not re.search(rf"(?:^|[{re.escape(delimiter)}\n])'", head):
                continue
            found = _fit(head, delimiter, quote, whole=whole)
            if found > best:
                best, form = found, (delimiter, quote)
    return False, *form


def _fit(head: str, delimiter: str, quote: str, *, whole: bool) -> tuple[float, float]:
    """How well a table fits its head: names that are known in the first record, and the share of records of one width."""
    records: list[Fields] = []
    with suppress(UnreadableFile):
        records = [fields for _, fields in islice(split([head], delimiter, quote), _HEAD_RECORDS + 1)]
    if not whole and len(records) > 1:
        records.pop()
    widths = Counter(len(fields) for fields in records if isinstance(fields, list))
    if not widths:
        return 0, 0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    first = next(fields for fields in records if isinstance(fields, list))
    known = sum(key_of(name) in ALIASES for name in first) if len(first) > 1 else 0
    return known, round(count / len(records), 1) if width > 1 else 0


def _is_header(records: Sequence[Sequence[str]], named: Sequence[str], *, alone: bool) -> bool:
    """Whether the first record names the columns. It does not if a label in it comes again, or a long text is in it.

    Among texts ``alone`` no label can come again. There it must have a known name, or a name above numbers or times: a name that is read
    as a text is seen, and a text that is read as a name is not.
    """
    first, rest = records[0], records[1:]
    keys = {key_of(name) for name in first} - {""}
    if keys & {key_of(name) for name in named if not name.strip().isdecimal()}:
        return True
    columns = [[fields[column] for fields in rest if column < len(fields)] for column in range(len(first))]
    if any(_comes_again(value, others) for value, others in zip(first, columns, strict=True)) and first not in rest:
        return False
    if keys & ALIASES:
        return True
    if any(len(field) > _LONG_FIELD for field in first) or not any(field.strip() for field in first):
        return False
    measured = [_is_measure(value) for value, others in zip(first, columns, strict=True) if others and all(map(_is_measure, others))]
    return not any(measured) and (bool(measured) or not alone)


def _comes_again(value: str, others: Sequence[str]) -> bool:
    """Whether a value is one of the few that a column has."""
    return bool(value.strip()) and value in others and len(set(others)) <= max(2, len(others) // 3)


def _is_measure(value: str) -> bool:
    """A number or a time, which no column is called."""
    return moment(value) is not None


def _lines_are_records(path: Path, encoding: Encoding) -> bool:
    """Whether a file with tabs is read line by line, its quotation marks being characters: when that leaves fewer odd records."""

    def odd(records: Iterable[tuple[int, Fields]]) -> int:
        widths = Counter(len(fields) if isinstance(fields, list) else -1 for _, fields in records)
        usual = max((width for width in widths if width > 0), key=lambda width: widths[width], default=0)
        return sum(widths.values()) - widths[usual]

    with suppress(UnreadableFile):
        return odd(split_lines(encodings.blocks(path, encoding))) <= odd(split(encodings.blocks(path, encoding), "\t", '"'))
    return True


def split_lines(blocks: Iterable[str]) -> Iterator[tuple[int, Fields]]:
    """(line, fields) of every line with tabs that is not blank. A field is unquoted only if all of it is well quoted."""
    number, rest = 0, ""
    for block in chain(blocks, [None]):
        if block is None:
            found, rest = ([rest] if rest else []), ""
        else:
            found = _LINE_END.split(rest + block)
            rest = found.pop()
            if block.endswith("\r"):  # the line feed may stand in the next block
                rest = f"{found.pop()}\r" if found else rest
        for line in found:
            number += 1
            fields = [_unquoted(field) for field in line.split("\t")]
            if any(fields):
                yield number, fields


def _unquoted(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in (inner := field[1:-1]).replace('""', ""):
        return inner.replace('""', '"')
    return field


def split(blocks: Iterable[str], delimiter: str = ",", quote: str = '"') -> Iterator[tuple[int, Fields]]:
    """(line on which it begins, fields) of every record that is not blank, read a block at a time.

    A record with malformed quoting is an UnreadableRecord, and the next one begins on the next line.
    Source: RFC 4180. csv.reader reads on where a quotation mark is misplaced, and names the line where a record ends.

    Raises:
        UnreadableFile: more than :data:`MOST_MALFORMED` records are malformed.
    """
    q, d = re.escape(quote), re.escape(delimiter)
    field = re.compile(rf"(?:{q}((?:[^{q}]++|{q}{q})*+){q}|([^{q}{d}\r\n]*+))({d}|\r\n|\n|\r|\Z)")
    source, start, line, malformed = _Source(blocks), 0, 1, 0
    while True:
        if start == len(source.text):
            start = 0
            if not source.more(keep=None):
                return
        if (end_of_line := source.plain_line(start, quote)) is not None:
            fields = source.text[start:end_of_line].rstrip("\r").split(delimiter)
            if any(fields):
                yield line, fields
            start, line = end_of_line + 1, line + 1
            continue
        begin, position, fields, end = line, start, list[str](), delimiter
        while end == delimiter:
            found = field.match(source.text, position)
            if _is_unfinished(source.text, position, quote, found) and source.more(keep=start):
                position, start = position - start, 0
            elif found is None:
                break
            else:
                quoted, plain, end = found.groups()
                fields.append(plain if quoted is None else quoted.replace(quote * 2, quote))
                line += len(_LINE_END.findall(quoted or "")) + (end not in (delimiter, ""))
                position = found.end()
        else:
            start = position
            if any(fields):
                yield begin, fields
            continue
        malformed += 1
        if malformed > MOST_MALFORMED:
            raise UnreadableFile(f"has malformed quotation marks in more than {MOST_MALFORMED} records, to line {begin}: {_QUOTING_CURE}")
        yield begin, UnreadableRecord(_quoting(source.text, position, quote))
        line = begin + 1
        start = source.next_line(start)


class _Source:
    """A text that is read block by block; what has been used is forgotten."""

    def __init__(self, blocks: Iterable[str]) -> None:
        self.text = ""
        self._blocks = iter(blocks)

    def more(self, keep: int | None = None) -> bool:
        """Read on, at least as much as is kept; False at the end of the file."""
        kept = "" if keep is None else self.text[keep:]
        parts, size = [kept], 0
        for block in self._blocks:
            parts.append(block)
            size += len(block)
            if size >= len(kept):
                break
        if not size:
            return False
        self.text = "".join(parts)
        return True

    def plain_line(self, start: int, quote: str) -> int | None:
        """Where the line ends that begins at ``start``, if it is one record without quotation marks; the usual case, and a fast one."""
        end = self.text.find("\n", start)
        if end == -1 or self.text.find(quote, start, end) != -1 or self.text.find("\r", start, end - 1) != -1:
            return None
        return end

    def next_line(self, start: int) -> int:
        """Where the line after ``start`` begins."""
        while True:
            found = _LINE_END.search(self.text, start)
            if found is not None and (found[0] != "\r" or found.end() < len(self.text)):
                return found.end()
            if not self.more(keep=start):
                return len(self.text)
            start = 0


_QUOTING_CURE = 'a text with a quotation mark stands in quotation marks, and each inside is doubled, as in "a 5"" screen"'


def _is_unfinished(text: str, position: int, quote: str, found: re.Match[str] | None) -> bool:
    """Whether the field at ``position`` may go on in what was not read yet."""
    if found is not None:
        return found.end() == len(text) and found[3] in ("", "\r")
    return text.startswith(quote, position) and _closed(text, position, quote) is None


def _closed(text: str, position: int, quote: str) -> re.Match[str] | None:
    q = re.escape(quote)
    return re.compile(rf"{q}(?:[^{q}]++|{q}{q})*+{q}").match(text, position)


def _quoting(text: str, position: int, quote: str) -> str:
    """Why no field begins at ``position``."""
    if text[position : position + 1] != quote:
        return f"a quotation mark stands inside a field that does not begin with one; {_QUOTING_CURE}"
    closed = _closed(text, position, quote)
    if closed is None:
        return f"its quotation mark is never closed; {_QUOTING_CURE}"
    return f"{text[closed.end() : closed.end() + 20]!r} follows a closing quotation mark, where only the delimiter may; {_QUOTING_CURE}"
