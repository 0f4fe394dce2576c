"""What is normal for a model's served texts: statistics over quiet windows made of whole groups.

Sentences of one review resemble each other, so thresholds that assume independent texts alarm on most quiet windows.
Here windows are built by drawing whole groups, and a threshold is the quantile over such windows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
STATISTICS = {"oov_rate": "above", "mean_confidence": "below", "class_divergence": "above"}


def words(text: str) -> list[str]:
    """Lower-cased ``\\w+`` words."""
    return _WORD.findall(text.lower())


def out_of_vocabulary(text: str, vocabulary: Collection[str]) -> tuple[int, int]:
    """(words, words that the training texts never had)."""
    found = words(text)
    return len(found), sum(word not in vocabulary for word in found)


def jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Divergence in bits of two distributions (labels,). Source: Lin 1991."""
    middle = (p + q) / 2
    terms = [np.where(x > 0, x * np.log2(np.maximum(x, 1e-300) / np.maximum(middle, 1e-300)), 0.0) for x in (p, q)]
    return max(0.0, float((terms[0] + terms[1]).sum() / 2))


def compute_baseline(
    *,
    groups: Sequence[str],
    tokens: NDArray[np.int64],
    oov_tokens: NDArray[np.int64],
    confidence: NDArray[np.float64],
    predicted: NDArray[np.int64],
    labels: Sequence[str],
    window: int,
    alpha: float,
    windows: int = 400,
    seed: int = 0,
) -> dict[str, Any]:
    """The contract's ``drift_baseline`` from held-out texts the model has not been trained on; all arrays are (texts,).

    Args:
        alpha: false-alarm rate of one assessment, shared by the three statistics (Bonferroni).
    """
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(np.asarray(groups) == group) for group in sorted(set(groups))]
    share = np.bincount(predicted, minlength=len(labels)) / len(predicted)
    drawn: dict[str, list[float]] = {name: [] for name in STATISTICS}
    for _ in range(windows):
        index = _draw_window(members, window, rng)
        drawn["oov_rate"].append(float(oov_tokens[index].sum() / max(1, tokens[index].sum())))
        drawn["mean_confidence"].append(float(confidence[index].mean()))
        drawn["class_divergence"].append(jensen_shannon(np.bincount(predicted[index], minlength=len(labels)) / len(index), share))
    result: dict[str, Any] = {"window": window, "alpha": alpha, "windows": windows}
    for name, direction in STATISTICS.items():
        level = alpha / len(STATISTICS)
        quantile = 1 - level if direction == "above" else level
        threshold = float(np.quantile(drawn[name], quantile))
        result[name] = {"mean": float(np.mean(drawn[name])), "threshold": threshold, "direction": direction}
    result["class_share"] = {label: float(value) for label, value in zip(labels, share, strict=True)}
    return result


def _draw_window(members: Sequence[NDArray[np.int64]], window: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Whole groups, with replacement, until the window is full; the last one may be cut."""
    parts: list[NDArray[np.int64]] = []
    size = 0
    while size < window:
        group = members[int(rng.integers(len(members)))]
        parts.append(group)
        size += len(group)
    return np.concatenate(parts)[:window]
