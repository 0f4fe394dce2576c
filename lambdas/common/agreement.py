"""How far people agree beyond chance: Krippendorff's alpha for nominal labels, of all labels together and of each label. Pure.

1 is perfect agreement, 0 is what chance alone would give, and below 0 people disagree more than by chance.

Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.labels import CANNOT_TELL
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewReason

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


def alpha_by_class(texts: Sequence[Sequence[str]], labels: Iterable[str] = ()) -> dict[str, Alpha]:
    """Alpha of each label against all others: every answer counts as *this label* or as *another one*.

    ``texts`` of a label's alpha are those with two answers, at least one of which is the label. Alpha is None for a label that nobody
    chose in a text with two answers, and for one that everybody chose each time.

    Args:
        texts: as for :func:`alpha`.
        labels: labels to name also where nobody chose them.
    """
    paired = [given for given in texts if len(given) >= COMPARED_ANSWERS]
    return {
        label: Alpha(alpha([[str(one == label) for one in given] for given in paired]).value, sum(label in given for given in paired))
        for label in sorted({*labels, *(one for given in texts for one in given)})
    }


def alpha_over_time(periods: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, Alpha]:
    """Alpha of each period's texts, in the order of the periods' first days (``yyyy-mm-dd``)."""
    return {first_day: alpha(periods[first_day]) for first_day in sorted(periods)}


def compared_labels(stored: StoredPrediction, labels: Collection[str] | None = None) -> list[str]:
    """The labels of a record that show how far people agree: two, or fewer when the record does not show it.

    Only the first two answers count. A third person may be asked only because two differ (``two_then_third``), so with that answer the
    texts that people differ about would count more than the others. An answer without a label does not count, and neither does one that
    was given beside the model's label. A text that two models differ about is a hard one; while a rollout runs there are many of them, so
    it counts nothing. Nor does a text whose answers were asked for with the model's answer: it has a second one only where the first
    disagrees with the model.

    Args:
        labels: those that may be chosen; None: any.
    """
    if stored.review_reason == ReviewReason.PAIR or stored.model_prior is not None:
        return []
    return [
        one.label
        for one in (stored.answers or ())[:COMPARED_ANSWERS]
        if one.label is not None
        and one.label != CANNOT_TELL
        and one.suggestion_shown is not True
        and (labels is None or one.label in labels)
    ]
