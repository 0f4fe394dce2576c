"""Groups of texts: a group is never split between training, validation and test."""

from __future__ import annotations

import hashlib
import unicodedata

from contracts.text import normal_text


def group_of(text: str, subject: str | None) -> str:
    """The group of a text: ``subject:<subject>``, so that texts about one subject stay together; without one, ``text:<digest>``."""
    return f"subject:{unicodedata.normalize('NFC', subject)}" if subject else f"text:{text_digest(text)}"


def text_digest(text: str) -> str:
    """16 hexadecimal digits that are the same for texts which count as the same."""
    return hashlib.sha256(normal_text(text).encode()).hexdigest()[:16]
