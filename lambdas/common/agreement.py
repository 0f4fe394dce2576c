"""How far people agree beyond chance: Krippendorff's alpha for nominal labels. Pure.

1 is perfect agreement, 0 is what chance alone would give, and below 0 people disagree more than by chance.

Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

COMPARED_ANSWERS = 2


@dataclass(frozen=True)
class Alpha:
    """``value`` is None when it is undefined: no text has two answers, or everybody always chose one label. ``texts``: with two answers."""

    value: float | None
    texts: int


def alpha(texts: Iterable[Sequence[str]]) -> Alpha:
    """Alpha of all labels.

    Args:
        texts: the labels that each text got, one for each person. An answer without a label is left out before.
    """
    paired = [labels for labels in texts if len(labels) >= COMPARED_ANSWERS]
    totals = Counter(label for labels in paired for label in labels)
    answers = totals.total()
    expected = answers**2 - sum(count**2 for count in totals.values())
    if not expected:
        return Alpha(None, len(paired))
    # A text adds its ordered pairs of different labels, divided by the number of answers less one.
    observed = sum((len(labels) ** 2 - sum(count**2 for count in Counter(labels).values())) / (len(labels) - 1) for labels in paired)
    return Alpha(1 - (answers - 1) * observed / expected, len(paired))


def alpha_by_class(texts: Sequence[Sequence[str]]) -> dict[str, Alpha]:
    """Alpha by label, for each label that was chosen. Every answer counts as *this label* or *another one*."""
    chosen = sorted({label for labels in texts for label in labels})
    return {label: alpha([["it" if one == label else "another" for one in labels] for labels in texts]) for label in chosen}


def alpha_by_day(days: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, Alpha]:
    """Alpha of each day's texts, in the order of the days (``yyyy-mm-dd``)."""
    return {day: alpha(days[day]) for day in sorted(days)}


def first_answers(labels: Sequence[str | None]) -> list[str]:
    """The labels among the first two answers to a text.

    A third person may be asked only because two differ (``two_then_third``). With that answer, the texts that people differ about
    would count more than the others.

    Args:
        labels: in the order in which they were given; None for an answer without a label.
    """
    return [label for label in labels[:COMPARED_ANSWERS] if label is not None]
