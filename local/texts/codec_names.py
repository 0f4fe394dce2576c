"""Names of the encodings that Python reads, for the user who names one."""

from __future__ import annotations

import codecs
import io
from encodings.aliases import aliases

_NO_TEXT = {"mbcs", "oem", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "rot_13", "tactis"}
CODECS = tuple(sorted({"utf_8_sig", *(codec for codec in aliases.values() if not codec.endswith("_codec"))} - _NO_TEXT))


class UnknownEncoding(ValueError):
    """Python reads no text in an encoding of this name; the text lists those that it reads."""


def codec_of(name: str) -> str:
    """Python's own name of an encoding, whatever its spelling: ``Windows-1250`` is ``cp1250``. Raises UnknownEncoding."""
    try:
        codec = codecs.lookup(name).name
        io.TextIOWrapper(io.BytesIO(), encoding=name)
    except (LookupError, ValueError):  # no encoding, or none of texts
        codec = ""
    if not codec or codec.replace("-", "_") in _NO_TEXT:
        raise UnknownEncoding(f"{name!r} is no encoding that Python reads; it reads {', '.join(CODECS)}")
    return codec
