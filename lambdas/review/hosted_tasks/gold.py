"""Gold tasks: texts whose label is known, mixed into what people answer, so that each person's answers can be compared with it. Pure.

A gold task looks like any other one. What people answer to it is counted for them and goes nowhere else: it is no label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

_DIGITS = 12


@dataclass(frozen=True)
class GoldText:
    """``label`` is the id of the right label."""

    text: str
    label: str


def gold_id(review_id: str) -> str:
    """The id of the gold task that comes with a review: the same each time that the review is started."""
    return f"gold-{review_id}"


def draw(review_id: str, share: float, texts: Sequence[GoldText]) -> GoldText | None:
    """The gold text that comes with a review, if any. It follows from the id alone, so a review that is started twice has one."""
    digest = hashlib.sha256(gold_id(review_id).encode()).hexdigest()
    if not texts or int(digest[:_DIGITS], 16) >= share * 16**_DIGITS:
        return None
    return texts[int(digest[_DIGITS : 2 * _DIGITS], 16) % len(texts)]
