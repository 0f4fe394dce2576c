"""How a file is encoded: UTF-8, UTF-16, Latin-1 or Windows-1252 are recognised; anything else is refused, or named by the user."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from local.texts.problems import UnreadableFile
from local.texts.western import Odd, odd_words

UTF8_CURE = "save it as UTF-8, which spreadsheets call 'CSV UTF-8 (comma delimited)'"
DAMAGED = re.compile("[\udc80-\udcff]")
"""What a byte that is not UTF-8 is read as (Python's ``surrogateescape``)."""
_BLOCK = 1 << 20
_HEAD = 4_000
_MOST_FOREIGN = 0.25
"""Share of bytes beyond ASCII. Western texts in Latin-1 have a few per cent; Cyrillic, Chinese or Greek code pages more than half."""
_LEAST_ZEROS, _FEW_ZEROS = 0.02, 8
"""Share and number of bytes that are zero: each line end and delimiter of UTF-16 has one, a text in UTF-8 has hardly ever any."""
_GZIP = b"\x1f\x8b"
_LIKELY = (
    "cp1250", "cp1251", "koi8-r", "cp1253", "cp1254", "cp1257", "iso8859-2", "cp1255", "cp1256", "cp874", "iso8859-15", "cp850",
    "mac-roman", "gb18030", "big5", "shift_jis", "cp949",
)  # fmt: skip
"""Encodings that are tried on odd words, so that people see which one gives words of theirs."""
_SHOWN, _LONGEST_SHOWN, _ROOM = 2, 14, 60
_REFUSED = {
    b"PK\x03\x04": f"is a spreadsheet or another archive, not text: {UTF8_CURE}",
    b"\xd0\xcf\x11\xe0": f"is an old spreadsheet, not text: {UTF8_CURE}",
    b"\xff\xfe\x00\x00": f"is UTF-32: {UTF8_CURE}",
    b"\x00\x00\xfe\xff": f"is UTF-32: {UTF8_CURE}",
    b"%PDF": "is a PDF, not a table: export the texts and their labels as CSV",
    b"BZh": "is compressed with bzip2: unpack it, or compress it with gzip",
    b"\xfd7zXZ": "is compressed with xz: unpack it, or compress it with gzip",
    b"(\xb5/\xfd": "is compressed with zstd: unpack it, or compress it with gzip",
    b"PAR1": "is a Parquet file: name it .parquet",
}


@dataclass(frozen=True)
class Encoding:
    """``codec`` is Python's name, ``words`` is the name for people. ``damaged``: some bytes are not of this encoding."""

    codec: str
    words: str
    damaged: bool = False


def encoding_of(path: Path, said: str | None = None) -> Encoding:
    """Look at the whole file, which may be compressed with gzip.

    Args:
        said: the encoding that the user named, as :func:`local.texts.codec_names.codec_of` spells it; None: it is recognised.

    Raises:
        UnreadableFile: the file is missing, or no text, or its encoding cannot be recognised, or cannot be the one that was named.
    """
    with open_bytes(path) as stream:
        head = read(stream, _HEAD)
    for signature, problem in _REFUSED.items():
        if head.startswith(signature) and not (said and said.startswith("utf-32")):
            raise UnreadableFile(problem)
    if said is not None:
        return _named(path, said)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _checked(path, Encoding("utf-16", "UTF-16"))
    zeros = [head[side::2].count(0) for side in (0, 1)]
    if sum(zeros) > max(_LEAST_ZEROS * len(head), min(_FEW_ZEROS, len(head) / 4)):
        if all(zeros):
            raise UnreadableFile(f"has zero bytes all over, so it is no text: {UTF8_CURE}")
        return _checked(path, Encoding("utf-16-le" if zeros[1] else "utf-16-be", "UTF-16 without a byte order mark"))
    mark = head.startswith(codecs.BOM_UTF8)
    utf8 = Encoding("utf-8-sig", "UTF-8 with a byte order mark" if mark else "UTF-8")
    return utf8 if _decodes(path, "utf-8") else _without_utf8(path, utf8)


def open_bytes(path: Path) -> BufferedIOBase:
    """The file's bytes, unpacked where it is compressed with gzip. Raises UnreadableFile."""
    try:
        stream = path.open("rb")
        packed = stream.read(len(_GZIP)) == _GZIP
        stream.seek(0)
    except FileNotFoundError:
        raise UnreadableFile("does not exist") from None
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}") from None
    return gzip.open(stream, "rb") if packed else stream


def read(stream: BufferedIOBase, size: int = _BLOCK) -> bytes:
    """Up to ``size`` bytes. Raises UnreadableFile."""
    try:
        return stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UnreadableFile("is a gzip file that is cut or damaged: copy it again") from None
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror}") from None


def blocks(path: Path, encoding: Encoding) -> Iterator[str]:
    """The file's text in blocks; no line end is changed. Bytes that are not of the encoding are as in :data:`DAMAGED`."""
    decoder = codecs.getincrementaldecoder(encoding.codec)("surrogateescape")
    first = True
    with open_bytes(path) as stream:
        while True:
            data = read(stream)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError:
                raise UnreadableFile(f"is not {encoding.words} any more: it was changed while it was read") from None
            if text := text.removeprefix("\ufeff" if first else ""):
                first = False
                yield text
            if not data:
                return


def lines(path: Path, encoding: Encoding) -> Iterator[str]:
    """Lines that end at a line feed and nothing else, without it."""
    rest = io.StringIO()
    for block in blocks(path, encoding):
        *whole, last = block.split("\n")
        for part in whole:
            rest.write(part)
            yield rest.getvalue()
            rest = io.StringIO()
        rest.write(last)
    if last := rest.getvalue():
        yield last


def damage(text: str, encoding: Encoding) -> str | None:
    """Why a text from a damaged file cannot be used, or None."""
    found = DAMAGED.search(text)
    if found is None:
        return None
    byte = ord(found[0]) - 0xDC00
    near = text[max(found.start() - 20, 0) : found.start()]
    if not encoding.codec.startswith("utf"):
        return f"is not {encoding.codec}: byte 0x{byte:02X} after {near!r}"
    return f"is not UTF-8: byte 0x{byte:02X} after {near!r}; if it is {bytes([byte]).decode('latin-1')!r}, save the file as UTF-8"


def _named(path: Path, codec: str) -> Encoding:
    """The encoding that the user named. A file of UTF-8 is not read as another one, in which it would be readable and garbled."""
    words = f"{codec} (--encoding)"
    if codec in {"utf-8", "utf-8-sig"}:
        return Encoding("utf-8-sig", words, damaged=not _decodes(path, "utf-8"))
    if not codec.startswith(("utf", "ascii")) and _decodes(path, "utf-8") and any(not text.isascii() for text in blocks(path, _UTF8)):
        raise UnreadableFile(f"is UTF-8, and not {codec}: leave --encoding out for this file")
    if _decodes(path, codec):
        return Encoding(codec, words)
    if codec.startswith("utf"):
        raise UnreadableFile(f"is not {codec} (--encoding): leave the option out, or name another encoding")
    return Encoding(codec, words, damaged=True)


def _checked(path: Path, encoding: Encoding) -> Encoding:
    if not _decodes(path, encoding.codec):
        raise UnreadableFile(f"begins as UTF-16 and then is something else: {UTF8_CURE}")
    return encoding


def _decodes(path: Path, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    with open_bytes(path) as stream:
        try:
            while data := read(stream):
                decoder.decode(data)
            decoder.decode(b"", final=True)
        except UnicodeError:
            return False
    return True


def _without_utf8(path: Path, utf8: Encoding) -> Encoding:
    """UTF-8 with a few damaged bytes, or an encoding with one byte for each character."""
    bad = good = foreign = total = 0
    controls = undefined = False
    for text in blocks(path, utf8):
        damaged = len(DAMAGED.findall(text))
        bad += damaged
        good += len(re.findall(r"[^\x00-\x7f]", text)) - damaged
        raw = text.encode("utf-8", "surrogateescape")
        foreign += len(raw) - len(raw.translate(None, bytes(range(0x80, 0x100))))
        total += len(raw.translate(None, b" \t\r\n"))
        controls = controls or re.search(rb"[\x80-\x9f]", raw) is not None
        undefined = undefined or re.search(rb"[\x81\x8d\x8f\x90\x9d]", raw) is not None
    if good > bad:
        return Encoding(utf8.codec, f"{utf8.words} with {bad:,} damaged bytes", damaged=True)
    odd = odd_words(lines(path, _WINDOWS))
    if odd or foreign > _MOST_FOREIGN * total or (controls and undefined):
        raise UnreadableFile(_no_western(odd or _first_foreign(path), foreign / max(total, 1)))
    return _WINDOWS if controls else Encoding("latin-1", "Latin-1")


def _first_foreign(path: Path) -> list[Odd]:
    """The first line with characters beyond ASCII."""
    for number, line in enumerate(lines(path, _WINDOWS), 1):
        if found := re.search(r"[^\x00-\x7f]{2,}|[^\x00-\x7f]", line):
            return [Odd(number, found[0])]
    return []


def _no_western(odd: Sequence[Odd], foreign: float) -> str:
    shown = [Odd(one.line, one.word[:_LONGEST_SHOWN]) for one in odd[:_SHOWN]]
    read_as = ", ".join(f"line {one.line} {'' if number else 'would read '}{_printable(one.word)!r}" for number, one in enumerate(shown))
    if foreign > _MOST_FOREIGN:
        read_as += f", and {foreign:.0%} of its bytes are beyond ASCII"
    others = [
        f"{codec} {' and '.join(map(repr, words))}"
        for codec in _LIKELY
        if (words := [_sensible(one.word, codec) for one in shown]) and None not in words and words != [one.word for one in shown]
    ]
    instead = f": is it {', '.join(_within(others))}?" if others else ""
    return (
        f"is neither UTF-8 nor UTF-16, and no Western text in Latin-1 or Windows-1252: {read_as}. "
        f"Save it as UTF-8 ('CSV UTF-8'), or name its encoding with --encoding (ENCODING= with make){instead}"
    )


def _within(others: Sequence[str]) -> Iterator[str]:
    """The first ones, as many as a line has room for."""
    for number, other in enumerate(others):
        if number and sum(map(len, others[: number + 1])) > _ROOM:
            return
        yield other


def _printable(word: str) -> str:
    return DAMAGED.sub("\ufffd", word)


def _sensible(word: str, codec: str) -> str | None:
    """A word in another encoding, if that gives letters of one script, with capitals where they may be; else None."""
    try:
        found = word.encode("cp1252", "surrogateescape").decode(codec)
    except UnicodeError:
        return None
    scripts = {unicodedata.name(letter, "?").split()[0] for letter in found}
    one_script = len(scripts) == 1 or scripts <= {"CJK", "HIRAGANA", "KATAKANA"}
    if "LATIN" in scripts and len(found) > 3 and not re.search("[A-Za-z]", found):  # no word has nothing but letters with accents
        return None
    return found if found.isalpha() and one_script and (found[1:].islower() or found.isupper() or found == found.casefold()) else None


_UTF8, _WINDOWS = Encoding("utf-8", "UTF-8"), Encoding("cp1252", "Windows-1252")
