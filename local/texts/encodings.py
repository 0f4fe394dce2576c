"""How a file is encoded: UTF-8, UTF-16, Latin-1 or Windows-1252 are recognised; what could be anything is refused."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path

from local.texts.problems import UnreadableFile

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


def encoding_of(path: Path) -> Encoding:
    """Look at the whole file, which may be compressed with gzip.

    Raises:
        UnreadableFile: the file is missing, or no text, or its encoding cannot be recognised.
    """
    with open_bytes(path) as stream:
        head = read(stream, _HEAD)
    for signature, problem in _REFUSED.items():
        if head.startswith(signature):
            raise UnreadableFile(problem)
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
    with open_bytes(path) as stream:
        while True:
            data = read(stream)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeError:
                raise UnreadableFile(f"is not {encoding.words} any more: it was changed while it was read") from None
            if text:
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


def damage(text: str) -> str | None:
    """Why a text from a damaged file cannot be used, or None."""
    found = DAMAGED.search(text)
    if found is None:
        return None
    byte = ord(found[0]) - 0xDC00
    near = text[max(found.start() - 20, 0) : found.start()]
    return f"is not UTF-8: byte 0x{byte:02X} after {near!r}; if it is {bytes([byte]).decode('latin-1')!r}, save the file as UTF-8"


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
    if foreign > _MOST_FOREIGN * total or (controls and undefined):
        raise UnreadableFile(
            f"is neither UTF-8 nor UTF-16, and {foreign / max(total, 1):.0%} of its bytes are beyond ASCII, too many for Latin-1 "
            f"(GB18030, Shift-JIS, Windows-1251, ...?): {UTF8_CURE}"
        )
    return Encoding("cp1252", "Windows-1252") if controls else Encoding("latin-1", "Latin-1")
