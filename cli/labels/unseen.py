"""Characters that nobody sees, or that turn the direction of what follows, are named where they stand, as the worker page does.

The characters are those of ``review_page/assets/frame.js``; a test compares the two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

UNSEEN = re.compile(
    "[\\u0000-\\u0008\\u000e-\\u001f\\u007f-\\u009f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f"
    "\\u202a-\\u202e\\u2060-\\u206f\\u2800\\u3164\\ufeff\\uffa0\\ufff0-\\ufffb\\ufffd"
    "\\U00016fe4\\U0001bca0-\\U0001bca3\\U0001d159\\U0001d173-\\U0001d17a\\U000e0000-\\U000e0fff]"
)
_JOINERS, _BRAILLE_BLANK = "\u200c\u200d", "\u2800"
_JOINING = ("ARABIC", "DEVANAGARI", "BENGALI", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "GUJARATI", "GURMUKHI", "SINHALA", "MONGOLIAN")
"""How the names of characters begin whose scripts use joiners."""
_PICTURES = ((0x2190, 0x2BFF), (0xFE0F, 0xFE0F), (0x1F000, 0x1FAFF))


def marked(text: str, mark: Callable[[str], str] = "[{}]".format, rest: Callable[[str], str] = str) -> str:
    """The text with ``U+202E`` and the like in place of what nobody sees.

    Args:
        mark: what stands for such a character, of its code.
        rest: what is done with all that is between.
    """
    parts, at = [], 0
    for found in UNSEEN.finditer(text):
        if not _has_its_place(text, found.start()):
            parts += [rest(text[at : found.start()]), mark(f"U+{ord(found[0]):04X}")]
            at = found.end()
    return "".join([*parts, rest(text[at:])])


def _has_its_place(text: str, at: int) -> bool:
    """Joiners have their place in emoji and in the scripts of Arabic and of India, the blank of Braille in a text in Braille."""
    if text[at] == _BRAILLE_BLANK:
        before = text[:at].rstrip(_BRAILLE_BLANK)[-1:]
        return "\u2801" <= before <= "\u28ff"
    if text[at] not in _JOINERS or at == 0:
        return False
    before = text[at - 1]
    picture = any(low <= ord(before) <= high for low, high in _PICTURES)
    return picture or unicodedata.category(before).startswith("M") or unicodedata.name(before, "").startswith(_JOINING)
