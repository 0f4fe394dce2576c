"""Tables, JSON lines and Parquet as records with the line where each begins: what is malformed is named with its cure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from contracts.phrases import counted
from contracts.text import InvalidJson, kind, parse_json
from local.texts import encodings
from local.texts.column_names import ALIASES, key_of
from local.texts.encodings import Encoding
from local.texts.moments import moment
from local.texts.problems import UnreadableFile
from local.texts.quoting import LINE_END, QUOTING_CURE, Dialect, Fields, UnreadableRecord, split, split_lines

TABLES, JSON_LINES, PARQUET = (".csv", ".tsv", ".tab"), (".jsonl", ".ndjson", ".json"), (".parquet",)
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
KINDS = "read are .csv, .tsv, .jsonl (also with .gz) and .parquet"
SAMPLE_RECORDS = 5_000
_HEAD_CHARACTERS = 1 << 16
_HEAD_RECORDS = 200
_LONG_FIELD = 60
_FIRST_RECORDS = 20
"""Where the names of the columns stand, if a title stands before them."""
_MOSTLY = 0.9
_NAMES_BETWEEN_BLANKS = re.compile(r'"[^"\r\n]*"(?: "[^"\r\n]*")+(?:\r|\n)')
"""The first line of R's `write.table`. Texts have blanks, so nothing else is read as a table with blanks between its fields."""
_CURES = {
    ".xlsx": f"is a spreadsheet: {encodings.UTF8_CURE}",
    ".xls": f"is a spreadsheet: {encodings.UTF8_CURE}",
    ".zip": "is an archive: unpack it",
    ".txt": "may be anything: name it .tsv or .csv if it is a table",
}


class RepeatedNames(UnreadableRecord):
    """A line that has the names of the columns again, as where several tables were put into one file."""

    def __init__(self) -> None:
        super().__init__("has the names of the columns again")


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
    comments = 0 if header == "no" else _comments(head, prefer=prefer, named=named, alone=alone)
    separator, dialect = _form(_after_lines(head, comments), whole=whole, prefer=prefer)
    skipped = comments + separator

    def text() -> Iterator[str]:
        return _without_lines(encodings.blocks(path, encoding), skipped)

    dialect = replace(dialect, escapes=_marks_have_backslashes(text, dialect))
    by_line = dialect.delimiter == "\t" and _lines_are_records(text, dialect)

    def all_fields() -> Iterator[tuple[int, Fields]]:
        found = split_lines(text()) if by_line else split(text(), dialect)
        return ((line + skipped, fields) for line, fields in found)

    first = [fields for _, fields in islice(all_fields(), SAMPLE_RECORDS) if isinstance(fields, list)]
    if not first:
        raise UnreadableFile(f"has no record that can be read: {QUOTING_CURE}" if any(True for _ in all_fields()) else "is empty")
    has_header = header == "yes" or (header == "auto" and _is_header(first, named, alone=alone))
    if header == "auto" and not set(map(key_of, first[0])) & (ALIASES | set(map(key_of, named))):
        _refuse_later_names(islice(all_fields(), _FIRST_RECORDS))
    if alone and has_header and len(first[0]) == 1 and not by_line and _lines_are_texts(text, first):
        return _list_of_texts(text, encoding, first[0][0].strip(), skipped)
    row_names = has_header and _have_row_names(first, _has_quoted_numbers(_after_lines(head, skipped), dialect))
    width = len(first[0]) + row_names if has_header else Counter(map(len, first)).most_common(1)[0][0]
    names = _column_names([*[""] * row_names, *first[0]] if has_header else [""] * width)
    if len(names) == 1 and not alone:
        raise UnreadableFile(
            f"has one column only ({shown_header(first[0])}): a text and its label are needed, separated by "
            "commas, semicolons, tabs or bars; a text with such a character stands in quotation marks"
        )
    counted_in = "the header" if has_header else "most records"

    def records() -> Iterator[tuple[int, Record]]:
        for line, fields in _after_header(all_fields()) if has_header else all_fields():
            yield line, RepeatedNames() if has_header and fields == first[0] else _named(fields, names, counted_in, encoding)

    sample, ready = _sampled(records())
    words = [
        DELIMITERS[dialect.delimiter],
        "quoted by '" if dialect.quote == "'" else "",
        "backslashes before quotation marks" if dialect.escapes and not by_line else "",
        "row names before the first column" if row_names else "",
        f"{counted(comments, 'comment line')} before the names left out" if comments else "",
    ]
    return Opened(encoding.words, ", ".join(filter(None, words)), has_header, names, sample, ready)


def _refuse_later_names(records: Iterable[tuple[int, Fields]]) -> None:
    """Raises UnreadableFile: a title or the like stands before the names of the columns, which would be taken for a record."""
    for line, fields in records:
        if (
            isinstance(fields, list)
            and len({key_of(name) for name in fields} & ALIASES) > 1
            and all(len(name) < _LONG_FIELD for name in fields)
        ):
            raise UnreadableFile(
                f"names its columns on line {line} only ({shown_header(fields)}): remove the lines before it, or begin each with #. "
                "If that line is a record: --header no"
            )


def _lines_are_texts(text: Callable[[], Iterator[str]], records: Sequence[Sequence[str]]) -> bool:
    """Whether a file with one name in its first line is a list of texts, one on each line, with delimiters and without quotation marks.

    Records that are all equally wide may be a table whose first line lacks a name.
    """
    if len({len(fields) for fields in records[1:]}) < 2:
        return False
    return all(not fields[0].startswith('"') for _, fields in split_lines(text(), None) if isinstance(fields, list))


def _list_of_texts(text: Callable[[], Iterator[str]], encoding: Encoding, name: str, skipped: int) -> Opened:
    """Each line after the first as a text."""

    def records() -> Iterator[tuple[int, Record]]:
        for line, fields in islice(split_lines(text(), None), 1, None):
            yield line + skipped, _named(fields, [name], "the header", encoding)

    sample, ready = _sampled(records())
    return Opened(encoding.words, "each line is a text", True, (name,), sample, ready)


def _has_quoted_numbers(head: str, dialect: Dialect) -> bool:
    """Whether the line after the first begins with a number in quotation marks. R quotes the names of rows, and no other numbers."""
    q, d = re.escape(dialect.quote), re.escape(dialect.delimiter)
    return re.match(rf"[^\r\n]*(?:\r\n|\n|\r){q}[0-9]+{q}{d}", head) is not None or dialect.delimiter == "\t"


def _have_row_names(records: Sequence[Sequence[str]], quoted: bool) -> bool:
    """Whether each record begins with the number of a row, which the header has no name for, as R's `write.table` leaves it.

    Without quotation marks (``quoted``) a number is rather the first column, and a text has a delimiter. Only tabs are in no text.

    Raises:
        UnreadableFile: the records have one field more than the header has names, and nothing says which of them is too much.
    """
    names, rest = records[0], records[1:]
    longer = [fields for fields in rest if len(fields) == len(names) + 1 and fields[-1]]
    if len(longer) < max(2, _MOSTLY * len(rest)) or any(len(fields) == len(names) for fields in rest):
        return False
    numbers = [fields[0] for fields in longer]
    if quoted and all(map(str.isdecimal, numbers)) and len(set(numbers)) == len(numbers):
        return True
    raise UnreadableFile(
        f"has {counted(len(names), 'name')} in its first line ({shown_header(names)}) and {len(names) + 1} fields in each record: name the "
        "first column, too (in R: write.csv(data, file, row.names = FALSE)), or put each text with the delimiter in quotation marks"
    )


def _after_header(records: Iterator[tuple[int, Fields]]) -> Iterator[tuple[int, Fields]]:
    """All but the first record that can be read, which is the header."""
    for line, fields in records:
        if isinstance(fields, list):
            yield from records
            return
        yield line, fields


def _named(fields: Fields, names: Sequence[str], counted_in: str, encoding: Encoding) -> Record:
    if isinstance(fields, UnreadableRecord):
        return fields
    if encoding.damaged and (problem := next(filter(None, (encodings.damage(field, encoding) for field in fields)), None)):
        return UnreadableRecord(problem)
    if len(fields) == len(names):
        return dict(zip(names, fields, strict=True))
    if len(fields) > len(names) and not any(fields[len(names) :]):
        return dict(zip(names, fields[: len(names)], strict=True))
    cure = "put a text with the delimiter in quotation marks" if len(fields) > len(names) else "give every column, if need be empty"
    if fields[0].lstrip().startswith("#"):
        cure += "; if it is a comment, remove it"
    has = counted(len(fields), "field")
    return UnreadableRecord(f"has {has} where {counted_in} has {len(names)}: {cure}".replace("records has", "records have"))


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


def _comments(head: str, *, prefer: str, named: Sequence[str], alone: bool) -> int:
    """How many lines before the names of the columns are comments: those with a ``#``, if the line after them names columns.

    Anywhere else a ``#`` begins a text, such as a hashtag.
    """
    comments = 0
    for line in (lines := LINE_END.split(head)):
        if not line.lstrip().startswith("#"):
            break
        comments += 1
    if comments in (0, len(lines)):
        return 0
    rest = _after_lines(head, comments)
    _, dialect = _form(rest, whole=True, prefer=prefer)
    with suppress(UnreadableFile):
        first = [fields for _, fields in islice(split([rest], dialect), _HEAD_RECORDS) if isinstance(fields, list)]
        known = {key_of(name) for name in first[0]} & (ALIASES | {key_of(name) for name in named}) if first else set()
        if known - {""} and _is_header(first, named, alone=alone):
            return comments
    return 0


def _after_lines(text: str, number: int) -> str:
    """What follows the first lines."""
    for found in islice(LINE_END.finditer(text), number - 1, number) if number else ():
        return text[found.end() :]
    return "" if number else text


def _without_lines(blocks: Iterator[str], number: int) -> Iterator[str]:
    """The text without its first lines."""
    head = ""
    for block in blocks if number else ():
        head += block
        if len(LINE_END.findall(head)) > number:  # the last one may go on in the next block
            break
    if head:
        yield _after_lines(head, number)
    yield from blocks


def _form(head: str, *, whole: bool, prefer: str) -> tuple[int, Dialect]:
    """How many lines name the delimiter (``sep=;``), and how fields stand apart: the form that fits best."""
    said = re.match(r"sep=([,;\t|])\r?\n", head, re.IGNORECASE)
    if said:
        return 1, Dialect(said[1])
    delimiters = sorted((sign for sign in DELIMITERS if sign != " " or _NAMES_BETWEEN_BLANKS.match(head)), key=lambda sign: sign != prefer)
    best: tuple[float, ...] = (0, 0, 0)
    form = Dialect(prefer)
    for delimiter in delimiters:
        for quote in ('"', "'"):
            if quote == "'" and not re.search(rf"(?:^|[{re.escape(delimiter)}\n])'", head):
                continue
            for escapes in (False, True) if f"\\{quote}" in head else (False,):
                found = _fit(head, dialect := Dialect(delimiter, quote, escapes), whole=whole)
                if found > best:
                    best, form = found, dialect
    return 0, form


def _fit(head: str, dialect: Dialect, *, whole: bool) -> tuple[float, ...]:
    """How well a table fits its head: names that are known in the first record, whether the others are as wide, and the share of records of
    one width."""
    records: list[Fields] = []
    with suppress(UnreadableFile):
        records = [fields for _, fields in islice(split([head], dialect), _HEAD_RECORDS + 1)]
    if not whole and len(records) > 1:
        records.pop()
    widths = Counter(len(fields) for fields in records if isinstance(fields, list))
    if not widths:
        return 0, 0, 0
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    first = next(fields for fields in records if isinstance(fields, list))
    known = sum(key_of(name) in ALIASES for name in first) if len(first) > 1 else 0
    return known, known > 0 and len(first) == width, round(count / len(records), 1) if width > 1 else 0


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


def _lines_are_records(text: Callable[[], Iterator[str]], dialect: Dialect) -> bool:
    """Whether a file with tabs is read line by line, its quotation marks being characters: when that leaves fewer odd records.

    Where both leave as many, a mark after a backslash says that marks are more than characters.
    """
    with suppress(UnreadableFile):
        by_line, quoted = _odd(split_lines(text())), _odd(split(text(), dialect))
        return by_line < quoted or (by_line == quoted and not dialect.escapes)
    return True


def _odd(records: Iterable[tuple[int, Fields]]) -> int:
    """Records that are malformed, or not as wide as most are."""
    widths = Counter(map(_width, records))
    return widths.total() - max((count for width, count in widths.items() if width > 0), default=0)


def _width(record: tuple[int, Fields]) -> int:
    """Fields of a record; -1: it is malformed."""
    fields = record[1]
    return len(fields) if isinstance(fields, list) else -1


def _marks_have_backslashes(text: Callable[[], Iterator[str]], dialect: Dialect) -> bool:
    r"""Whether a mark inside quotation marks is ``\"``, as many databases write it, and not ``""``: when that makes more good records.

    A well quoted file may have texts that end with a backslash, so a file without malformed records is read as it stands.
    """
    last, found = "", False
    for block in text():
        found = found or f"\\{dialect.quote}" in last + block
        last = block[-1:]
    if not found:
        return False
    doubled, escaped = Counter[int](), Counter[int]()
    for escapes, widths in ((False, doubled), (True, escaped)):
        with suppress(UnreadableFile):  # what was counted until then stays
            widths.update(map(_width, split(text(), replace(dialect, escapes=escapes))))
    usual = max((width for width in escaped if width > 0), key=lambda width: escaped[width], default=0)
    return doubled[-1] > 0 and escaped[usual] > doubled[usual]
