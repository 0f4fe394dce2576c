"""What text may enter, what counts as the same text, and how JSON is read: one rule for every entry.

Allowed are all Unicode characters but these: halves of surrogate pairs (they have no UTF-8 form), noncharacters (Unicode
standard, section 23.7; SQS refuses U+FFFE and U+FFFF) and control characters other than tab, line feed, carriage return and
next line (U+0085). SQS refuses those below U+0020 ("SendMessage", after the production Char of XML 1.0).
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

MAX_DEPTH = 20
"""Levels of lists and objects inside each other: far more than any form of ours has, far fewer than stop the reader."""
_LAST_TWO_OF_PLANES = "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_REFUSED = re.compile(f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef{_LAST_TWO_OF_PLANES}]")
_ALLOWED = "allowed are Unicode characters, and of the control characters tab, line feed, carriage return and U+0085"


class InvalidText(ValueError):
    """A value is no text that may enter. ``field`` is its place, ``problem`` names the value and what is allowed."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field, self.problem = field, problem


class TextTooLong(InvalidText):
    """The text has more characters than are allowed."""


class InvalidJson(ValueError):
    """The data is not JSON that may enter; the text says where and why."""


def checked_text(field: str, value: Any, *, longest: int | None = None) -> str:
    """``value`` as a text in Unicode's normal form C, so that a letter with an accent has one form.

    Args:
        field: named in the error.
        longest: characters that are allowed, counted in that form.

    Raises:
        InvalidText: ``value`` is no string, has nothing that can be seen, has a character that is not allowed, or is too long.
    """
    allowed = f"1 to {longest} characters" if longest else "a text"
    if not isinstance(value, str):
        raise InvalidText(field, f"must be a string, not {kind(value)}: allowed is {allowed}")
    if is_blank(value):
        raise InvalidText(field, f"is empty (no character in it can be seen): allowed is {allowed}")
    text = unicodedata.normalize("NFC", value)
    if longest is not None and len(text) > longest:
        raise TextTooLong(field, f"has {len(text)} characters: allowed is {allowed}")
    problem = character_problem(value)
    if problem:
        raise InvalidText(field, problem)
    return text


def character_problem(text: str) -> str | None:
    """Which character is not allowed, where, and what is; None when all are."""
    if text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable():
        return None  # the usual case, ten times as fast as the search
    found = _REFUSED.search(text)
    if found is None:
        return None
    code = ord(found[0])
    surrogate = 0xD800 <= code <= 0xDFFF
    what = "half of a surrogate pair" if surrogate else "a control character" if code < 0xA0 else "a noncharacter"
    return f"has U+{code:04X} at position {found.start()}, {what}: {_ALLOWED}"


def is_blank(text: str) -> bool:
    """Whether nothing of it can be seen: only white space and format characters such as a zero-width space."""
    return all(character.isspace() or unicodedata.category(character) == "Cf" for character in text)


def normal_text(text: str) -> str:
    """What counts as the same text: Unicode's normal form C, lower case, white space folded."""
    lower = unicodedata.normalize("NFC", text).lower()
    return " ".join(unicodedata.normalize("NFC", lower).split())


def parse_json(data: str | bytes) -> Any:
    """One JSON document, in which nothing is left to guess.

    Raises:
        InvalidJson: not UTF-8, not JSON (RFC 8259: no NaN or Infinity), a number too large for a float, a field that stands twice in
            its object, or more than :data:`MAX_DEPTH` levels.
    """
    text = _decoded(data) if isinstance(data, bytes) else data
    if text.startswith("\ufeff"):
        raise InvalidJson("begins with a byte order mark (U+FEFF), which JSON must not: save it as UTF-8 without one")
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidJson(_too_deep()) from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"is not JSON: {error.msg} at character {error.pos}") from None
    except InvalidJson:
        raise
    except ValueError as error:  # a whole number of thousands of digits
        raise InvalidJson(f"is not JSON that can be read: {error}") from None
    _check_values(document)
    return document


def json_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line) of every line that is not blank.

    ``lines`` end at ``\\n`` only, as a binary file's do. A text may hold U+2028 or U+0085, which end a line for ``str.splitlines``.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line


def kind(value: Any) -> str:
    """What a value of a JSON document is, in JSON's words."""
    if value is None or isinstance(value, bool):
        return json.dumps(value, allow_nan=False)
    if isinstance(value, int | float):
        return f"the number {value!r}"[:60]
    names: dict[type, str] = {str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"is not UTF-8: byte 0x{data[error.start]:02X} at position {error.start}; save it as UTF-8") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise InvalidJson(f"has the field {twice[:80]!r} twice in one object: each may stand once")
    return found


def _no_constant(name: str) -> Any:
    raise InvalidJson(f"has {name}, which is not JSON: allowed are finite numbers")


def _too_deep() -> str:
    return f"is nested deeper than the {MAX_DEPTH} levels that are allowed"


def _check_values(document: Any) -> None:
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        if any(isinstance(value, float) and not math.isfinite(value) for value in level):
            raise InvalidJson("has a number beyond what a float holds: allowed are finite numbers")
        inner = (value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list))
        level = [value for values in inner for value in values]
        if not level:
            return
    raise InvalidJson(_too_deep())
