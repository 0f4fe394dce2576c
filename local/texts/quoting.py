"""Records of a table from its text, a block at a time: fields with and without quotation marks, and what is malformed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from local.texts.problems import UnreadableFile

MOST_MALFORMED, MOST_MALFORMED_SHARE = 100, 0.1
"""Records with malformed quoting: beyond both, the quotation marks of the file mean something else."""
LINE_END = re.compile(r"\r\n|\n|\r")


class UnreadableRecord(ValueError):
    """One record cannot be read; the text says why."""


Fields = list[str] | UnreadableRecord


def split_lines(blocks: Iterable[str], delimiter: str | None = "\t") -> Iterator[tuple[int, Fields]]:
    """(line, fields) of every line that is not blank; None: it is one field. A field is unquoted only if all of it is well quoted."""
    number, rest = 0, ""
    for block in chain(blocks, [None]):
        if block is None:
            found, rest = ([rest] if rest else []), ""
        else:
            found = LINE_END.split(rest + block)
            rest = found.pop()
            if block.endswith("\r"):  # the line feed may stand in the next block
                rest = f"{found.pop()}\r" if found else rest
        for line in found:
            number += 1
            fields = [_unquoted(field) for field in ([line] if delimiter is None else line.split(delimiter))]
            if any(fields):
                yield number, fields


def _unquoted(field: str) -> str:
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in (inner := field[1:-1]).replace('""', ""):
        return inner.replace('""', '"')
    return field


@dataclass(frozen=True)
class Dialect:
    """How the fields of a table stand apart. ``escapes``: a mark or a backslash inside quotation marks has a backslash before it."""

    delimiter: str = ","
    quote: str = '"'
    escapes: bool = False

    @cached_property
    def blank(self) -> str:
        """Pattern of what may stand between a delimiter and a quotation mark."""
        return {"\t": "[ ]*+", " ": "[\t]*+"}.get(self.delimiter, "[ \t]*+")

    @cached_property
    def quoted(self) -> str:
        """Pattern of a field in quotation marks."""
        q, escaped = re.escape(self.quote), r"|\\[\s\S]" if self.escapes else ""
        return rf"{q}((?:[^{q}{self._escape}]++|{q}{q}{escaped})*+){q}"

    @cached_property
    def field(self) -> re.Pattern[str]:
        """A field, and what ends it."""
        q, d, escaped = re.escape(self.quote), re.escape(self.delimiter), rf"|\\{self.quote}|\\" if self.escapes else ""
        plain = rf"(?:[^{q}{d}\r\n{self._escape}]++{escaped})*+"
        return re.compile(rf"(?:{self.blank}{self.quoted}{self.blank}|({plain}))({d}|\r\n|\n|\r|\Z)")

    @property
    def _escape(self) -> str:
        return r"\\" if self.escapes else ""

    def closed(self, text: str, position: int) -> re.Match[str] | None:
        """The field in quotation marks at ``position``, with blanks before it."""
        return re.compile(self.blank + self.quoted).match(text, position)

    def opens(self, text: str, position: int) -> bool:
        """Whether a field in quotation marks begins at ``position``, with blanks before it."""
        return re.compile(self.blank + re.escape(self.quote)).match(text, position) is not None

    def value(self, quoted: str | None, plain: str) -> str:
        """What a field says."""
        if quoted is None:
            return plain.replace(f"\\{self.quote}", self.quote) if self.escapes else plain
        if not self.escapes:
            return quoted.replace(self.quote * 2, self.quote)
        q = re.escape(self.quote)
        return re.sub(rf"\\([\\{q}])|{q}({q})", lambda found: found[1] or found[2], quoted)


COMMAS = Dialect()


def split(blocks: Iterable[str], dialect: Dialect = COMMAS) -> Iterator[tuple[int, Fields]]:
    """(line on which it begins, fields) of every record that is not blank, read a block at a time.

    A record with malformed quoting is an UnreadableRecord, and the next one begins on the next line.
    Source: RFC 4180. Unlike there, blanks may stand between a quotation mark and the delimiter: nothing else could be meant.
    csv.reader reads on where a quotation mark is misplaced, and names the line where a record ends.

    Raises:
        UnreadableFile: more than :data:`MOST_MALFORMED` records are malformed, and more than :data:`MOST_MALFORMED_SHARE` of them.
    """
    field, value, delimiter, quote, escapes = dialect.field, dialect.value, dialect.delimiter, dialect.quote, dialect.escapes
    source, start, line, malformed, records = _Source(blocks), 0, 1, 0, 0
    while True:
        records += 1
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
            if _is_unfinished(source.text, position, dialect, found) and source.more(keep=start):
                position, start = position - start, 0
            elif found is None:
                break
            else:
                quoted, plain, end = found.groups()
                fields.append(plain if quoted is None and not escapes else value(quoted, plain))
                line += len(LINE_END.findall(quoted or "")) + (end not in (delimiter, ""))
                position = found.end()
        else:
            start = position
            if any(fields):
                yield begin, fields
            continue
        malformed += 1
        if malformed > max(MOST_MALFORMED, MOST_MALFORMED_SHARE * records):
            raise UnreadableFile(f"has malformed quotation marks in more than {MOST_MALFORMED} records, to line {begin}: {QUOTING_CURE}")
        yield begin, UnreadableRecord(_quoting(source.text, position, dialect))
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
            found = LINE_END.search(self.text, start)
            if found is not None and (found[0] != "\r" or found.end() < len(self.text)):
                return found.end()
            if not self.more(keep=start):
                return len(self.text)
            start = 0


QUOTING_CURE = 'a text with a quotation mark stands in quotation marks, and each inside is doubled, as in "a 5"" screen"'


def _is_unfinished(text: str, position: int, dialect: Dialect, found: re.Match[str] | None) -> bool:
    """Whether the field at ``position`` may go on in what was not read yet."""
    if found is not None:
        return found.end() == len(text) and found[3] in ("", "\r")
    return dialect.opens(text, position) and dialect.closed(text, position) is None


def _quoting(text: str, position: int, dialect: Dialect) -> str:
    """Why no field begins at ``position``."""
    if not dialect.opens(text, position):
        return f"a quotation mark stands inside a field that does not begin with one; {QUOTING_CURE}"
    closed = dialect.closed(text, position)
    if closed is None:
        return f"its quotation mark is never closed; {QUOTING_CURE}"
    follows = LINE_END.split(text[closed.end() : closed.end() + 20])[0]
    return f"{follows!r} follows a closing quotation mark, where only the delimiter may; {QUOTING_CURE}"
