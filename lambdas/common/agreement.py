"""How far people agree beyond chance: Krippendorff's alpha for nominal labels, of all labels together and of each label. Pure.

1 is perfect agreement, 0 is what chance alone would give, and below 0 people disagree more than by chance.

Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011.

Its 95 % interval is that of a bootstrap of the texts, as Hayes and Krippendorff propose in "Answering the Call for a Standard Reliability
Measure for Coding Data", Communication Methods and Measures, 2007. The draws have a fixed seed, and their work has a bound.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.intervals import unseen_share
from contracts.labels import CANNOT_TELL
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewReason

COMPARED_ANSWERS = 2
FEWEST_FOR_INTERVAL = 10
"""Texts with two answers. Resamples of fewer say too little."""
DRAWS, MOST_DRAWN = 500, 1_000
"""Resamples, and the most texts of each. Of more texts a part is drawn, and the spread is made smaller, as it is of all of them."""
_SEED = 1


@dataclass(frozen=True)
class Alpha:
    """``value`` is None when it is undefined: no text has two answers, or everybody always chose one label. ``texts``: with two answers.

    ``low`` and ``high`` are None where nobody asked for the interval, or where there are fewer than :data:`FEWEST_FOR_INTERVAL` texts.
    """

    value: float | None
    texts: int
    low: float | None = None
    high: float | None = None


def alpha(texts: Iterable[Sequence[str]], *, interval: bool = False) -> Alpha:
    """Alpha of all labels.

    Args:
        texts: the labels that each text got, one for each person. An answer without a label is left out before.
        interval: with the interval.
    """
    # Texts with equal answers add equal parts, so each set of answers is computed once.
    kinds = Counter(tuple(sorted(labels)) for labels in texts if len(labels) >= COMPARED_ANSWERS)
    value = _value(kinds)
    found = Alpha(value, kinds.total())
    if value is None or not interval or found.texts < FEWEST_FOR_INTERVAL:
        return found
    low, high = _interval(kinds, value)
    return Alpha(value, found.texts, low, high)


_Kinds = Mapping[tuple[str, ...], int]
"""The answers to a text, in the order of the labels, and how many texts have just these."""


def _value(kinds: _Kinds) -> float | None:
    totals: Counter[str] = Counter()
    for labels, often in kinds.items():
        for label in labels:
            totals[label] += often
    answers = totals.total()
    expected = answers**2 - sum(count**2 for count in totals.values())
    return 1 - (answers - 1) * sum(often * _differing(labels) for labels, often in kinds.items()) / expected if expected else None


def _differing(labels: Sequence[str]) -> float:
    """What a text adds: its ordered pairs of different labels, divided by the number of answers less one."""
    return (len(labels) ** 2 - sum(count**2 for count in Counter(labels).values())) / (len(labels) - 1)


def _interval(kinds: Counter[tuple[str, ...]], value: float) -> tuple[float, float]:
    """Resamples without two labels are left out. Where nobody differs, all are alike: then so many may differ as nobody would have seen."""
    texts, draw = kinds.total(), random.Random(_SEED)  # noqa: S311  (resamples, not a secret)
    names = sorted(kinds)  # the order of the texts does not matter
    weights = [kinds[name] for name in names]
    size = min(texts, MOST_DRAWN)
    drawn = (_value(Counter(draw.choices(names, weights, k=size))) for _ in range(DRAWS))
    spread = sorted((one - value) * (size / texts) ** 0.5 for one in drawn if one is not None)
    low, high = (value + spread[round(share * (len(spread) - 1))] for share in (0.025, 0.975))
    if value == 1:
        answers = Counter(label for labels, often in kinds.items() for label in labels for _ in range(often))
        chance = 1 - sum((count / answers.total()) ** 2 for count in answers.values())
        low = 1 - unseen_share(texts) / chance
    return max(-1.0, low), min(1.0, high)


def alpha_by_class(texts: Sequence[Sequence[str]], labels: Iterable[str] = (), *, interval: bool = False) -> dict[str, Alpha]:
    """Alpha of each label against all others: every answer counts as *this label* or as *another one*.

    ``texts`` of a label's alpha are those with two answers, at least one of which is the label. Alpha is None for a label that nobody
    chose in a text with two answers, and for one that everybody chose each time.

    Args:
        texts: as for :func:`alpha`.
        labels: labels to name also where nobody chose them.
    """
    paired = [given for given in texts if len(given) >= COMPARED_ANSWERS]
    return {
        label: replace(
            alpha([[str(one == label) for one in given] for given in paired], interval=interval),
            texts=sum(label in given for given in paired),
        )
        for label in sorted({*labels, *(one for given in texts for one in given)})
    }


def alpha_over_time(periods: Mapping[str, Sequence[Sequence[str]]], *, interval: bool = False) -> dict[str, Alpha]:
    """Alpha of each period's texts, in the order of the periods' first days (``yyyy-mm-dd``)."""
    return {first_day: alpha(periods[first_day], interval=interval) for first_day in sorted(periods)}


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
