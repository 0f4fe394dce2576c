"""Drift of a window of predictions against the champion's baseline: pure functions of values to values.

Each statistic is scored so that 0 is the baseline's mean and 1 its threshold (from quiet windows made of whole groups,
computed by the evaluation job, see docs/contracts.md), so one alarm threshold fits every model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TOLERANCE = 1e-6
"""A smaller difference is rounding: an answer's confidence has six digits."""


@dataclass(frozen=True)
class LabelCounts:
    """Sums over the window's predictions of one predicted label."""

    label: str
    predictions: int
    confidence: float
    tokens: int
    oov_tokens: int


@dataclass(frozen=True)
class DriftReport:
    """Statistics and scores of one window. With ``filled`` < 1 the window is too small to judge and scores are empty.

    ``unusable``: statistics that cannot be used, each with the reason; they are in neither ``values`` nor ``scores``.
    """

    predictions: int
    filled: float
    values: Mapping[str, float]
    scores: Mapping[str, float]
    unusable: Mapping[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """The largest score, or None when the window is not full: neither drift nor its absence."""
        return max(self.scores.values()) if self.scores else None


def jensen_shannon(p: Mapping[str, float], q: Mapping[str, float]) -> float:
    """Divergence in bits, 0 (equal) to 1 (disjoint), of two distributions over labels. Source: Lin 1991."""
    total = 0.0
    for label in set(p) | set(q):
        a, b = p.get(label, 0.0), q.get(label, 0.0)
        middle = (a + b) / 2
        total += sum(x * math.log2(x / middle) / 2 for x in (a, b) if x > 0)
    return max(0.0, total)


def assess(rows: Sequence[LabelCounts], baseline: Mapping[str, Any]) -> DriftReport:
    """Compare one window with the ``drift_baseline`` of the serving champion.

    Args:
        rows: one entry per predicted label; at most ``baseline["window"]`` predictions in total.
        baseline: the contract's ``drift_baseline``.
    """
    count = sum(row.predictions for row in rows)
    filled = min(1.0, count / int(baseline["window"]))
    if filled < 1:
        return DriftReport(count, filled, {}, {})
    tokens = sum(row.tokens for row in rows)
    measured = {
        "oov_rate": sum(row.oov_tokens for row in rows) / max(1, tokens),
        "mean_confidence": sum(row.confidence for row in rows) / count,
        "class_divergence": jensen_shannon({row.label: row.predictions / count for row in rows}, baseline["class_share"]),
    }
    unusable = {name: str(baseline[name]["unusable"]) for name in measured if "unusable" in baseline[name]}
    if not tokens:
        unusable.setdefault("oov_rate", f"the window's texts have no {baseline['oov_rate'].get('basis', 'words')}")
    values = {name: value for name, value in measured.items() if name not in unusable}
    return DriftReport(count, filled, values, {name: _score(value, baseline[name]) for name, value in values.items()}, unusable)


def _score(value: float, reference: Mapping[str, Any]) -> float:
    mean, threshold = float(reference["mean"]), float(reference["threshold"])
    span = threshold - mean
    if abs(span) < TOLERANCE:
        return 0.0 if abs(value - mean) < TOLERANCE else math.copysign(2.0, value - mean) * (1 if reference["direction"] == "above" else -1)
    return (value - mean) / span
