"""How far people agree, how consistent their labels are, and how much a suggestion sways people. Pure: records in, figures out."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

from contracts.labels import CANNOT_TELL
from lambdas.common.agreement import COMPARED_ANSWERS, Alpha, alpha, alpha_by_class, alpha_over_time, compared_labels
from lambdas.common.predictions import StoredPrediction
from local.texts.near_duplicates import alike

MOST_CONFLICTS = 50
MOST_CONFUSIONS = 10
MOST_DISPUTED = 50
FEWEST_CONFUSED = 3
"""Texts for which people chose both of two labels. Fewer can be a slip."""
FEWEST_COMPARED = 30
"""Answers with, and as many without a suggestion, before their difference is computed."""
MOST_WEEKS = 26
_EXAMPLES, _WORDS, _SHOWN = 3, 5, 160
_NORMAL = 1.959964
"""Of the standard normal distribution, for two-sided 95 %."""


@dataclass(frozen=True)
class Anchoring:
    """Answers to texts whose model label was shown to people drawn by chance; ``shown_agreed`` of ``shown`` chose the model's label.

    ``difference`` is the share among those who saw it less that among those who did not, with its 95 % interval; None below
    :data:`FEWEST_COMPARED` answers of either kind.
    """

    shown: int
    shown_agreed: int
    hidden: int
    hidden_agreed: int
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Agreement:
    """How far people agree: Krippendorff's alpha of the first two answers to each text (:mod:`lambdas.common.agreement`).

    ``by_class``: of each label against all others, the label that people agree least about first, and those without a figure last.
    ``by_week``: by the Monday (``yyyy-mm-dd``) of the week in which the reviews were stored, the newest :data:`MOST_WEEKS`.
    """

    overall: Alpha
    by_class: Mapping[str, Alpha]
    by_week: Mapping[str, Alpha]


@dataclass(frozen=True)
class Conflict:
    """Two texts that say nearly the same, and have different labels."""

    ids: tuple[str, str]
    texts: tuple[str, str]
    labels: tuple[str, str]


@dataclass(frozen=True)
class Confusion:
    """Two labels that people choose for the same texts.

    ``both``: texts for which somebody chose the one and somebody the other, of ``either`` texts for which two people or more answered
    and somebody chose one of them. ``ended``: the label of the ``both`` texts, by count; those without a label are missing. ``words``
    are in these texts more often than in the others.
    """

    labels: tuple[str, str]
    both: int
    either: int
    ended: Mapping[str, int]
    words: tuple[str, ...]
    examples: tuple[str, ...]

    @property
    def rule(self) -> str:
        """The sentence that the guidelines lack, for a person to finish: a line of ``review.guidelines.rules``."""
        one, other = self.labels
        return f"Choose {one} if ..., and {other} if ...."

    @property
    def hint(self) -> str:
        """What to write into the guidelines, in the form in which the settings file takes it."""
        one, other = self.labels
        settled = {label: count for label, count in self.ended.items() if label in self.labels}
        more = max(settled, key=lambda label: settled[label], default=None)
        usual = "" if more is None else f" Most of these texts ended as {more}."
        often = f" They often have: {', '.join(self.words)}." if self.words else ""
        return f'Say what decides between {one} and {other}. Finish this line of review.guidelines.rules: - "{self.rule}"{usual}{often}'


@dataclass(frozen=True)
class Disputed:
    """A text without a label: a lead reads it and decides with `labels correct`. ``id`` is what that command takes; ``cannot_tell`` is how
    many people answered that."""

    id: str
    text: str
    votes: Mapping[str, int]
    cannot_tell: int = 0


@dataclass(frozen=True)
class CannotTell:
    """How many of the ``answers`` are that the person cannot tell which label is right, about how many ``texts``, and some of these."""

    count: int
    answers: int
    texts: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """``texts`` with a label; ``disputed`` without one. Lists have at most :data:`MOST_CONFLICTS`, :data:`MOST_CONFUSIONS` and
    :data:`MOST_DISPUTED` rows."""

    texts: int
    disputed: int
    agreement: Agreement
    anchoring: Anchoring
    conflicting: int
    conflicts: tuple[Conflict, ...]
    confusions: tuple[Confusion, ...]
    cannot_tell: CannotTell
    to_settle: tuple[Disputed, ...] = ()

    def document(self) -> dict[str, Any]:
        made = asdict(self)
        for row, one in zip(made["confusions"], self.confusions, strict=True):
            row["hint"], row["rule"] = one.hint, one.rule
        return made


def report(labelled: Iterable[StoredPrediction], disputed: Iterable[StoredPrediction] = ()) -> Report:
    """Everything about these records; one in ``disputed`` has answers and no label."""
    records, open_ones = list(labelled), list(disputed)
    found = conflicts(records)
    shown = tuple(found[:MOST_CONFLICTS])
    every = records + open_ones
    waiting = tuple(
        Disputed(one.prediction_id, _short(one.text), dict(one.votes or {}), _unclear(one)) for one in open_ones[:MOST_DISPUTED]
    )
    return Report(
        texts=len(records),
        disputed=len(open_ones),
        agreement=agreement(every),
        anchoring=anchoring(every),
        conflicting=len(found),
        conflicts=shown,
        confusions=confusions(every),
        cannot_tell=cannot_tell(every),
        to_settle=waiting,
    )


def cannot_tell(records: Sequence[StoredPrediction]) -> CannotTell:
    """How often people cannot tell. The texts with the most such answers come first."""
    unclear = sorted((one for one in records if _unclear(one)), key=lambda one: (-_unclear(one), one.prediction_id))
    answers = sum(answer.label is not None for one in records for answer in one.answers or ())
    return CannotTell(sum(map(_unclear, unclear)), answers, len(unclear), tuple(_short(one.text) for one in unclear[:_EXAMPLES]))


def _unclear(stored: StoredPrediction) -> int:
    return sum(answer.label == CANNOT_TELL for answer in stored.answers or ())


def agreement(records: Iterable[StoredPrediction]) -> Agreement:
    """How far people agree about these records, in all, about each label and in each week."""
    weeks: dict[str, list[list[str]]] = defaultdict(list)
    known: set[str] = set()
    for stored in records:
        known |= {stored.human_label} if stored.human_label is not None else set()
        labels = compared_labels(stored)
        if len(labels) >= COMPARED_ANSWERS and stored.reviewed_at is not None:
            weeks[_monday(stored.reviewed_at)].append(labels)
    texts = [labels for week in weeks.values() for labels in week]
    classes = sorted(alpha_by_class(texts, known, interval=True).items(), key=lambda one: (one[1].value is None, one[1].value, one[0]))
    newest = {week: weeks[week] for week in sorted(weeks)[-MOST_WEEKS:]}
    return Agreement(alpha(texts, interval=True), dict(classes), alpha_over_time(newest, interval=True))


def _monday(time: str) -> str:
    day = datetime.fromisoformat(time).date()
    return (day - timedelta(days=day.weekday())).isoformat()


def anchoring(records: Iterable[StoredPrediction]) -> Anchoring:
    """How much more often people choose the model's label when they see it.

    The interval is that of Agresti and Caffo (2000), which adds a success and a failure to each side, with the variance of clusters:
    answers to one text are not independent.
    """
    texts: list[list[tuple[bool, bool]]] = []
    for stored in records:
        given = [
            (one.suggestion_shown, one.label == stored.label)
            for one in stored.answers or ()
            if one.suggestion_shown is not None and one.label is not None
        ]
        if given:
            texts.append(given)
    answers = [one for given in texts for one in given]
    shown, hidden = (Counter(agreed for seen, agreed in answers if seen is wanted) for wanted in (True, False))
    counts = (shown.total(), shown[True], hidden.total(), hidden[True])
    if min(shown.total(), hidden.total()) < FEWEST_COMPARED:
        return Anchoring(*counts, None, None, None)
    added = [[(seen, agreed)] for seen in (True, False) for agreed in (True, False)]
    middle, error = _difference([*texts, *added])
    return Anchoring(
        *counts,
        difference=counts[1] / counts[0] - counts[3] / counts[2],
        low=max(-1.0, middle - _NORMAL * error),
        high=min(1.0, middle + _NORMAL * error),
    )


def _difference(texts: Sequence[Sequence[tuple[bool, bool]]]) -> tuple[float, float]:
    """Difference of the two shares, and its standard error by the linearised variance of ratios with one cluster for each text."""
    count = Counter(seen for given in texts for seen, _ in given)
    agreed = Counter(seen for given in texts for seen, same in given if same)
    share = {seen: agreed[seen] / count[seen] for seen in (True, False)}
    parts = [sum((1 if seen else -1) * (same - share[seen]) / count[seen] for seen, same in given) for given in texts]
    return share[True] - share[False], math.sqrt(len(texts) / (len(texts) - 1) * sum(part**2 for part in parts))


def conflicts(records: Sequence[StoredPrediction]) -> list[Conflict]:
    """Pairs of texts that are alike and have different labels; equal texts come first."""
    found = []
    for first, other in alike([stored.text for stored in records]):
        pair = records[first], records[other]
        labels = tuple(stored.human_label or "" for stored in pair)
        if labels[0] != labels[1] and all(labels):
            one, two = pair
            found.append(Conflict((one.prediction_id, two.prediction_id), (_short(one.text), _short(two.text)), (labels[0], labels[1])))
    return sorted(found, key=lambda one: one.texts[0] != one.texts[1])


def confusions(records: Sequence[StoredPrediction]) -> tuple[Confusion, ...]:
    """Pairs of labels by the number of texts that got both, from the answers that were given without the model's label. *Cannot tell* is no
    label, so nobody confuses it with one."""
    chosen: list[tuple[StoredPrediction, frozenset[str]]] = []
    for stored in records:
        labels = [one.label for one in stored.answers or () if one.label not in (None, CANNOT_TELL) and one.suggestion_shown is not True]
        if len(labels) > 1:
            chosen.append((stored, frozenset(labels)))
    pairs: dict[tuple[str, str], list[StoredPrediction]] = defaultdict(list)
    for stored, said in chosen:
        for one, other in combinations(sorted(said), 2):
            pairs[one, other].append(stored)
    frequent = sorted(
        ((both, pair) for pair, both in pairs.items() if len(both) >= FEWEST_CONFUSED), key=lambda one: (-len(one[0]), one[1])
    )
    words = Counter(word for stored, _ in chosen for word in _words(stored.text))
    return tuple(
        Confusion(
            labels=pair,
            both=len(both),
            either=sum(not said.isdisjoint(pair) for _, said in chosen),
            ended=dict(Counter(stored.human_label for stored in both if stored.human_label is not None).most_common()),
            words=_typical(both, words, len(chosen)),
            examples=tuple(_short(stored.text) for stored in both[:_EXAMPLES]),
        )
        for both, pair in frequent[:MOST_CONFUSIONS]
    )


def _typical(texts: Sequence[StoredPrediction], everywhere: Mapping[str, int], of: int) -> tuple[str, ...]:
    """Words of at least three of the texts that are at least twice as frequent there as in all texts, the most frequent first."""
    here = Counter(word for stored in texts for word in _words(stored.text))
    found = [word for word, count in here.most_common() if count >= FEWEST_CONFUSED and count / len(texts) >= 2 * everywhere[word] / of]
    return tuple(found[:_WORDS])


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{3,}", text.casefold()))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."
