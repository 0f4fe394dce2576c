"""CSV and JSON lines as records with the line where each begins: what is malformed is named with its cure, nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contracts.text import InvalidJson, json_lines, kind, parse_json

_FIELD = re.compile(r'(?:"((?:[^"]++|"")*+)"|([^",\r\n]*+))(,|\r\n|\n|\r|\Z)')
_LINE_END = re.compile(r"\r\n|\n|\r")
_SAVE = "save it as UTF-8, which spreadsheets call 'CSV UTF-8 (comma delimited)'"
_SIGNATURES = {
    b"\xff\xfe": f"is UTF-16, as spreadsheets save 'Unicode text': {_SAVE}",
    b"\xfe\xff": f"is UTF-16, as spreadsheets save 'Unicode text': {_SAVE}",
    b"PK\x03\x04": f"is a spreadsheet or another archive, not text: {_SAVE}",
    b"\xd0\xcf\x11\xe0": f"is an old spreadsheet, not text: {_SAVE}",
    b"\x1f\x8b": "is compressed: unpack it",
}


class UnreadableFile(ValueError):
    """The file cannot be read as records; the text says where it breaks, and what to do."""


class UnreadableRecord(ValueError):
    """One record cannot be read; the text says why."""


Record = dict[str, Any] | UnreadableRecord


def read_records(path: Path, allowed: Sequence[str], required: Sequence[str]) -> Iterator[tuple[int, Record]]:
    """Yield each record's first line number with its fields by name, or with an UnreadableRecord.

    Args:
        allowed, required: names of columns. Of a CSV record, an empty field that is not required is left out.

    Raises:
        UnreadableFile: missing, of another kind or encoding, or its quoting or its header is malformed.
    """
    kinds = {".csv": lambda data: _csv_records(_text(data), allowed, required), ".jsonl": _json_records}
    read = kinds.get(path.suffix.lower())
    if read is None:
        raise UnreadableFile("is no .csv and no .jsonl file: these two are read")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UnreadableFile("does not exist") from None
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}") from None
    for signature, problem in _SIGNATURES.items():
        if data.startswith(signature):
            raise UnreadableFile(problem)
    yield from read(data.removeprefix(b"\xef\xbb\xbf"))


def _text(data: bytes) -> str:
    if b"\x00" in data[:1_000]:
        raise UnreadableFile(f"has zero bytes, so it is probably UTF-16: {_SAVE}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, byte = data.count(b"\n", 0, error.start) + 1, data[error.start : error.start + 1]
        other = f"{byte.decode('latin-1')!r} if it is Latin-1 or Windows-1252"
        raise UnreadableFile(f"is not UTF-8: byte 0x{byte.hex().upper()} on line {line} ({other}): {_SAVE}") from None


def _json_records(data: bytes) -> Iterator[tuple[int, Record]]:
    for number, line in json_lines(data.split(b"\n")):
        try:
            content = parse_json(line)
        except InvalidJson as error:
            yield number, UnreadableRecord(str(error))
            continue
        yield number, content if isinstance(content, dict) else UnreadableRecord(f"is not a JSON object but {kind(content)}")


def _csv_records(text: str, allowed: Sequence[str], required: Sequence[str]) -> Iterator[tuple[int, Record]]:
    """Source: RFC 4180. csv.reader reads on where a quotation mark is misplaced, and names the line where a record ends."""
    records = _split(text)
    header_line, header = next(records, (1, [""]))
    _check_header(header_line, header, allowed, required)
    for line, fields in records:
        if len(fields) == len(header):
            named = zip(header, fields, strict=True)
            yield line, {name: value for name, value in named if value or name in required}
        else:
            cure = "put a text with a comma in quotation marks" if len(fields) > len(header) else "give every column, if need be empty"
            yield line, UnreadableRecord(f"has {len(fields)} fields where the header has {len(header)}: {cure}")


def _check_header(line: int, header: Sequence[str], allowed: Sequence[str], required: Sequence[str]) -> None:
    absent = [name for name in required if name not in header]
    names = f"the first line must name the columns {', '.join(allowed)} (needed: {' and '.join(required)}), separated by commas"
    if absent:
        found = ",".join(header)[:80]
        other = next((what for sign, what in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")) if sign in found), None)
        if other:
            raise UnreadableFile(f"separates its columns by {other} (line {line}: {found!r}): {_SAVE}; {names}")
        raise UnreadableFile(f"has no column {' and '.join(absent)} (line {line}: {found!r}): {names}")
    unknown = [name for name in header if name not in allowed]
    if unknown:
        raise UnreadableFile(f"has the unknown column {unknown[0][:80]!r} on line {line}: allowed are {', '.join(allowed)}")
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise UnreadableFile(f"has the column {twice[0]!r} {header.count(twice[0])} times on line {line}: keep one of them")


def _split(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line on which it begins, fields) of every record that is no blank line."""
    position, line = 0, 1
    while position < len(text):
        begin, fields, end = line, list[str](), ","
        while end == ",":
            found = _FIELD.match(text, position)
            if found is None:
                raise UnreadableFile(_quoting(text, position, begin))
            quoted, plain, end = found.groups()
            fields.append(plain if quoted is None else quoted.replace('""', '"'))
            line += len(_LINE_END.findall(quoted or "")) + (end not in (",", ""))
            position = found.end()
        if fields != [""]:
            yield begin, fields


def _quoting(text: str, position: int, line: int) -> str:
    """Why no field begins at ``position``, in a record that begins on ``line``."""
    where = f"is malformed in the record that begins on line {line}"
    cure = 'a text with a quotation mark stands in quotation marks, and each inside is doubled, as in "a 5"" screen"'
    if text[position] != '"':
        return f"{where}: a quotation mark stands inside a field that does not begin with one; {cure}"
    closed = re.compile(r'"(?:[^"]++|"")*+"').match(text, position)
    if closed is None:
        return f"{where}: its quotation mark is never closed; {cure}"
    return f"{where}: {text[closed.end() : closed.end() + 20]!r} follows a closing quotation mark, where only a comma may; {cure}"
