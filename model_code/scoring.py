"""Scores with intervals that respect groups: texts of one review say less than independent texts.

Each kind of figure has the 95 % interval that covers best in simulations with grouped texts (docs/benchmarks.md):

- A share of texts, such as the accuracy: Wilson's interval with the effective number of its texts. Source: Korn and Graubard,
  "Confidence Intervals for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data", 1998.
- Macro-F1: the cluster bootstrap, with percentiles that are moved outwards for few groups. Source: Hesterberg, "What Teachers Should Know
  About the Bootstrap", The American Statistician, 2015.
- A paired difference: Student's t with the standard error of the cluster bootstrap.

Resamples of groups that are all alike are alike, too, and would give an interval without width. So no interval ends nearer to its value
than that of as many independent texts without a miss (:func:`contracts.intervals.unseen_share`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, stdtrit

from contracts.intervals import critical_value, unseen_share, wilson

Labels = NDArray[np.int64]
Floats = NDArray[np.float64]
_LEVEL = 0.975
"""Each end of an interval is passed with a probability of 2.5 %."""
_MOST_DRAWS = 50_000_000
"""Cells of ``Resamples.draws`` (four bytes each) up to which as many resamples are drawn as asked; beyond, no fewer than a thousand."""


@dataclass(frozen=True)
class Resamples:
    """How often each group is drawn, (resamples, groups), and each text's group, (texts,)."""

    draws: NDArray[np.float32]
    group_of: Labels

    @classmethod
    def draw(cls, groups: Sequence[str], *, count: int, seed: int) -> Resamples:
        """Draw all groups with replacement, ``count`` times (fewer if that would need too much memory)."""
        rng = np.random.default_rng(seed)
        names, group_of = np.unique(np.asarray(groups), return_inverse=True)
        size = len(names)
        draws = np.empty((min(count, max(1_000, _MOST_DRAWS // size)), size), dtype=np.float32)
        for row in draws:
            row[:] = np.bincount(rng.integers(0, size, size), minlength=size)
        return cls(draws, group_of)

    @property
    def sizes(self) -> dict[str, int]:
        """How many texts there are, and in how many groups."""
        return {"rows": len(self.group_of), "groups": self.draws.shape[1]}

    def means(self, values: Floats) -> Floats:
        """Mean of each column of ``values`` (texts, columns) in each resample, (resamples, columns)."""
        sums = np.zeros((self.draws.shape[1], values.shape[1] + 1), dtype=np.float64)
        np.add.at(sums, self.group_of, np.column_stack([values, np.ones(len(values))]))
        drawn = self.draws.astype(np.float64) @ sums
        return np.asarray(drawn[:, :-1] / drawn[:, -1:])

    def tallies(self, truth: Labels, predicted: Labels, size: int) -> Floats:
        """:func:`tallies` of each resample, (resamples, 3, size): sums of the groups' own, so no text is touched twice."""
        cells = np.zeros((self.draws.shape[1], 3 * size), dtype=np.float32)  # counts: exact up to 16 million texts
        for kind, labels, inside in _kinds(truth, predicted):
            np.add.at(cells, (self.group_of[inside], kind * size + labels[inside]), 1)
        return (self.draws @ cells).astype(np.float64).reshape(-1, 3, size)


def tallies(truth: Labels, predicted: Labels, size: int) -> Floats:
    """All that accuracy and macro-F1 need of each label, (1, 3, size): texts that were right, texts that have it, texts that got it."""
    counts = [np.bincount(labels[inside], minlength=size) for _, labels, inside in _kinds(truth, predicted)]
    return np.stack(counts)[np.newaxis].astype(np.float64)


def _kinds(truth: Labels, predicted: Labels) -> list[tuple[int, Labels, NDArray[np.bool_]]]:
    everywhere = np.ones(len(truth), dtype=bool)
    return [(0, truth, truth == predicted), (1, truth, everywhere), (2, predicted, everywhere)]


def accuracy(truth: Labels, predicted: Labels, weights: Floats | None = None) -> float:
    """Share of right answers; ``weights`` (texts,) count a text more or less than once."""
    return float(np.average(truth == predicted, weights=weights))


def macro_f1(truth: Labels, predicted: Labels, weights: Floats | None = None) -> float:
    """Mean F1 over the classes that occur in ``truth``; a class never predicted counts 0."""
    scores = [class_scores(truth, predicted, int(label), weights)[2] for label in np.unique(truth)]
    return float(np.mean(scores))


def class_scores(truth: Labels, predicted: Labels, label: int, weights: Floats | None = None) -> tuple[float, float, float]:
    """(precision, recall, F1) of one class; 0 where undefined."""
    each = np.ones(len(truth)) if weights is None else weights
    hits = float(each[(truth == label) & (predicted == label)].sum())
    said, there = float(each[predicted == label].sum()), float(each[truth == label].sum())
    precision, recall = hits / said if said else 0.0, hits / there if there else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


Measure = Callable[[Floats], Floats]


def tallied_accuracy(tallied: Floats) -> Floats:
    """Accuracy (n,) of tallies (n, 3, labels)."""
    return np.asarray(tallied[:, 0].sum(axis=1) / tallied[:, 1].sum(axis=1))


def tallied_macro_f1(tallied: Floats) -> Floats:
    """:func:`macro_f1` (n,) of tallies (n, 3, labels)."""
    hits, there, said = tallied[:, 0], tallied[:, 1], tallied[:, 2]
    f1 = 2 * hits / np.maximum(there + said, 1)
    occurs = there > 0
    return np.asarray((f1 * occurs).sum(axis=1) / occurs.sum(axis=1))


MEASURES: dict[str, Measure] = {"accuracy": tallied_accuracy, "macro_f1": tallied_macro_f1}


def scores(truth: Labels, predicted: Labels, resamples: Resamples) -> dict[str, Any]:
    """``{"accuracy": {"value","low","high"}, "macro_f1": ...}``."""
    whole, drawn = _tallies(truth, predicted, resamples)
    right = truth == predicted
    least = unseen_share(effective_texts(right, resamples.group_of))
    return {
        "accuracy": _share(right, resamples),
        "macro_f1": _percentiles(tallied_macro_f1(whole), tallied_macro_f1(drawn), resamples.sizes["groups"], least),
    }


def paired_difference(truth: Labels, first: Labels, second: Labels, resamples: Resamples) -> dict[str, Any]:
    """``first`` minus ``second`` on the same resamples, so what both share cancels out."""
    (whole, drawn), (other_whole, other_drawn) = (_tallies(truth, predicted, resamples) for predicted in (first, second))
    # What a difference rests on are the texts that only one of the two has right.
    least = unseen_share(effective_texts((truth == first) != (truth == second), resamples.group_of))
    groups = resamples.sizes["groups"]
    return {
        name: _around(measure(whole) - measure(other_whole), measure(drawn) - measure(other_drawn), groups, least)
        for name, measure in MEASURES.items()
    }


def _tallies(truth: Labels, predicted: Labels, resamples: Resamples) -> tuple[Floats, Floats]:
    """The tallies of all texts, and those of each resample."""
    size = int(max(truth.max(), predicted.max())) + 1
    return tallies(truth, predicted, size), resamples.tallies(truth, predicted, size)


def grouped_share(hit: NDArray[np.bool_], groups: NDArray[np.str_]) -> dict[str, float]:
    """``{"value","low","high","effective_texts"}`` of a share of texts that come in groups; both are (texts,).

    Wilson's interval with the effective number of texts: as many independent ones would have the variance that the groups show. Where the
    variance says nothing, since all or none are hits, a group counts as one text (Kish). Source: Korn and Graubard, "Confidence Intervals
    for Proportions with Small Expected Number of Positive Counts Estimated from Survey Data", 1998.
    """
    value, effective = float(hit.mean()), effective_texts(hit, groups)
    low, high = wilson(value, effective, critical_value())
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4), "effective_texts": round(effective, 1)}


def exact_share(hit: NDArray[np.bool_], groups: NDArray[np.str_]) -> dict[str, float]:
    """``{"value","low","high"}`` of a share of texts that come in groups, with Clopper and Pearson's interval; both are (texts,).

    It never covers less than 95 % of independent texts, however few there are; texts count as in :func:`grouped_share`, and less where
    groups are few. Source: Korn and Graubard, 1998.
    """
    value, count = float(hit.mean()), len(np.unique(groups))
    size = max(effective_texts(hit, groups) * certain_part(len(hit), count, _LEVEL), 1e-3)
    hits = value * size
    low = float(betaincinv(hits, size - hits + 1, 1 - _LEVEL)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, size - hits, _LEVEL)) if hits < size else 1.0
    return _rounded(value, low, high)


def effective_texts(hit: NDArray[np.bool_], groups: NDArray[np.str_] | Labels, weights: Floats | None = None) -> float:
    """As many independent texts would have the variance of the share of hits that the groups show; ``hit`` and ``groups`` are (texts,).

    ``weights`` (texts,) count a text more or less than once. Where the variance says nothing, since all or none are hits, a group counts
    as one text (Kish).
    """
    _, group_of = np.unique(groups, return_inverse=True)
    each = np.ones(len(hit)) if weights is None else weights
    sizes, hits = np.bincount(group_of, weights=each), np.bincount(group_of, weights=each * hit)
    total, count = float(sizes.sum()), len(sizes)
    value, fewest = float(hits.sum()) / total, total**2 / float((sizes**2).sum())
    most = total**2 / float((each**2).sum())
    variance = count / (count - 1) * float(((hits - value * sizes) ** 2).sum()) / total**2 if count > 1 else 0.0
    return min(most, max(fewest, value * (1 - value) / variance)) if variance > 0 else fewest


def certain_part(texts: int, groups: int, probability: float) -> float:
    """The part of the effective texts that counts (Korn and Graubard): 1 where each text is a group, less where groups are few.

    The variance of few groups is itself uncertain, by the ratio of two quantiles of Student's t distribution.
    """
    if groups == texts:
        return 1.0
    each, together = (float(stdtrit(count - 1, probability)) for count in (texts, groups)) if groups > 1 else (0.0, 1.0)
    return (each / together) ** 2


def _share(hit: NDArray[np.bool_], resamples: Resamples) -> dict[str, float]:
    """The share of hits, with Wilson's interval. Where all or none are hits, it is Clopper and Pearson's, which is wider there."""
    effective, groups = effective_texts(hit, resamples.group_of), resamples.sizes["groups"]
    value = float(hit.mean())
    if value in (0, 1):
        least = unseen_share(effective)
        return _rounded(value, max(0.0, value - least), min(1.0, value + least))
    # One group of several texts says nothing: its effective texts must not become 0.
    counted = max(effective * certain_part(len(hit), groups, _LEVEL), 1e-3)
    return _rounded(value, *wilson(value, counted, critical_value()))


def _percentiles(whole: Floats, drawn: Floats, groups: int, least: float) -> dict[str, float]:
    """The value of all texts, (1,), with percentiles of its resamples. It lies within 0 and 1."""
    value = float(whole[0])
    outside = float(ndtr(-_widened(groups)))
    low, high = (float(end) for end in np.quantile(drawn, (outside, 1 - outside)))
    return _rounded(value, max(0.0, min(low, value - least)), min(1.0, max(high, value + least)))


def _around(whole: Floats, drawn: Floats, groups: int, least: float) -> dict[str, float]:
    """The difference of all texts, (1,), with as much to either side. It lies within -1 and 1."""
    value, half = float(whole[0]), max(least, _widened(groups) * float(drawn.std(ddof=1)))
    return _rounded(value, max(-1.0, value - half), min(1.0, value + half))


def _widened(groups: int) -> float:
    """How many standard errors of a bootstrap of so many groups an end is away: more than 1.96, as the bootstrap's are a little small."""
    return float(np.sqrt(groups / (groups - 1)) * stdtrit(groups - 1, _LEVEL)) if groups > 1 else float("inf")


def _rounded(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}
