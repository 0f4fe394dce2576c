"""Scores with intervals that respect groups: texts of one review are resampled together.

Cluster bootstrap, percentile interval: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
_LEVELS = (0.025, 0.975)


@dataclass(frozen=True)
class Resamples:
    """Index arrays (resamples of variable length), each made of whole groups."""

    indices: Sequence[NDArray[np.int64]]

    @classmethod
    def draw(cls, groups: Sequence[str], *, count: int, seed: int) -> Resamples:
        rng = np.random.default_rng(seed)
        names = np.asarray(groups)
        order = np.argsort(names, kind="stable")
        _, starts = np.unique(names[order], return_index=True)
        members = np.split(order, starts[1:])
        return cls([np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))]) for _ in range(count)])


def accuracy(truth: Labels, predicted: Labels) -> float:
    return float((truth == predicted).mean())


def macro_f1(truth: Labels, predicted: Labels) -> float:
    """Mean F1 over the classes that occur in ``truth``; a class never predicted counts 0."""
    scores = [class_scores(truth, predicted, int(label))[2] for label in np.unique(truth)]
    return float(np.mean(scores))


def class_scores(truth: Labels, predicted: Labels, label: int) -> tuple[float, float, float]:
    """(precision, recall, F1) of one class; 0 where undefined."""
    hits = float(((truth == label) & (predicted == label)).sum())
    said, there = float((predicted == label).sum()), float((truth == label).sum())
    precision, recall = hits / said if said else 0.0, hits / there if there else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


Measure = Callable[[Labels, Labels], float]
MEASURES: dict[str, Measure] = {"accuracy": accuracy, "macro_f1": macro_f1}


def scores(truth: Labels, predicted: Labels, resamples: Resamples) -> dict[str, Any]:
    """``{"accuracy": {"value","low","high"}, "macro_f1": ...}``."""
    return {
        name: _interval(measure(truth, predicted), [measure(truth[i], predicted[i]) for i in resamples.indices])
        for name, measure in MEASURES.items()
    }


def paired_difference(truth: Labels, first: Labels, second: Labels, resamples: Resamples) -> dict[str, Any]:
    """``first`` minus ``second`` on the same resamples, so what both share cancels out."""
    return {
        name: _interval(
            measure(truth, first) - measure(truth, second),
            [measure(truth[i], first[i]) - measure(truth[i], second[i]) for i in resamples.indices],
        )
        for name, measure in MEASURES.items()
    }


def _interval(value: float, drawn: Sequence[float]) -> dict[str, float]:
    low, high = np.quantile(drawn, _LEVELS)
    return {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)}
