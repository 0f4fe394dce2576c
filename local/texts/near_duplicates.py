"""Texts that differ in case, digits, punctuation and spaces only: they say nothing new, and must not be on two sides of a split."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence

LEAST_LETTERS = 20
"""In a shorter text the digits count: ``5 stars`` and ``1 star`` are not alike."""
MOST_JOINED = 100
"""More texts than these with one key come from a template, such as log lines: they are not joined."""


def near_key(text: str) -> str:
    """Equal for near-duplicates; empty for a text without any letter or digit."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = folded.translate(_LETTERS)
    kept = letters if len(letters) >= LEAST_LETTERS else folded.translate(_LETTERS_AND_DIGITS)
    return hashlib.sha256(kept.encode("utf-8", "surrogatepass")).hexdigest()[:16] if kept else ""


class _Kept(dict[int, int | None]):
    """For ``str.translate``: a code point as it is, or None where it is ignored. Filled as characters are met.

    Args:
        ignored: first letters of Unicode's general categories.
    """

    def __init__(self, ignored: str) -> None:
        super().__init__()
        self._ignored = ignored

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code))[0] in self._ignored else code
        return self[code]


_LETTERS, _LETTERS_AND_DIGITS = _Kept("NPSZC"), _Kept("PSZC")
"""Without numbers, punctuation, symbols, separators and control characters."""


def joined(groups: Sequence[str], keys: Sequence[str]) -> list[str]:
    """The groups with those joined that share a key. A joined group has the name that comes first in the alphabet."""
    parent = {group: group for group in groups}

    def root(group: str) -> str:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    first: dict[str, str] = {}
    counts = Counter(keys)
    for group, key in zip(groups, keys, strict=True):
        if key and counts[key] <= MOST_JOINED:
            one, other = sorted((root(first.setdefault(key, group)), root(group)))
            parent[other] = one
    return [root(group) for group in groups]
