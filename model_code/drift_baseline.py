"""What is normal for a model's served texts: statistics over quiet windows made of whole groups.

Sentences of one review resemble each other, so thresholds that assume independent texts alarm on most quiet windows.
Here windows are built by drawing whole groups. The texts that they are drawn from are a sample themselves, so each window is
held against a resample of them (bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_code.data import Manifest
from model_code.dataset_form import ReferenceText
from model_code.text import json_lines

_WORD = re.compile(r"\w+")
STATISTICS = {"oov_rate": "above", "mean_confidence": "below", "class_divergence": "above"}
REFERENCE_FILE = "reference/data.jsonl"
LEAST_WINDOWS = 2_000
_CHUNK = 250_000
"""Groups that are drawn at once: a few dozen megabytes."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def read_reference(dataset: Path, manifest: Manifest) -> list[ReferenceText]:
    """The reference sample of a version whose files were checked; none when its manifest names none.

    Raises:
        InvalidDataset: a line is no text with its group.
    """
    if REFERENCE_FILE not in manifest.files:
        return []
    with (dataset / REFERENCE_FILE).open("rb") as stream:
        return [ReferenceText.parse(line, f"{REFERENCE_FILE}:{number}") for number, line in json_lines(stream)]


def words(text: str) -> list[str]:
    """Lower-cased ``\\w+`` words."""
    return _WORD.findall(text.lower())


def out_of_vocabulary(text: str, vocabulary: Collection[str]) -> tuple[int, int]:
    """(words, words that the training texts never had)."""
    found = words(text)
    return len(found), sum(word not in vocabulary for word in found)


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Divergence in bits (n,) of two distributions each, (n, labels). Source: Lin 1991."""
    middle = (p + q) / 2
    terms = [np.where(x > 0, x * np.log2(np.maximum(x, 1e-300) / np.maximum(middle, 1e-300)), 0.0) for x in (p, q)]
    return np.asarray(np.maximum(0.0, (terms[0] + terms[1]).sum(axis=1) / 2))


def window_count(alpha: float) -> int:
    """Windows enough to have ten beyond the quantile of each statistic."""
    return max(LEAST_WINDOWS, math.ceil(10 * len(STATISTICS) / alpha))


def baseline_of(
    texts: Sequence[Any], answers: Sequence[dict[str, Any]], labels: Sequence[str], *, window: int, alpha: float, seed: int
) -> dict[str, Any]:
    """:func:`compute_baseline` of a model's inference answers, one a text; each text has its ``group``."""
    return compute_baseline(
        groups=[text.group for text in texts],
        tokens=np.array([answer["tokens"] for answer in answers]),
        oov_tokens=np.array([answer["oov_tokens"] for answer in answers]),
        confidence=np.array([answer["confidence"] for answer in answers]),
        predicted=np.array([list(labels).index(answer["label"]) for answer in answers]),
        labels=labels,
        window=window,
        alpha=alpha,
        seed=seed,
    )


def compute_baseline(
    *,
    groups: Sequence[str],
    tokens: Integers,
    oov_tokens: Integers,
    confidence: Floats,
    predicted: Integers,
    labels: Sequence[str],
    window: int,
    alpha: float,
    seed: int = 0,
) -> dict[str, Any]:
    """The contract's ``drift_baseline`` from texts that the model has not been trained on; all arrays are (texts,).

    Args:
        alpha: nominal false-alarm rate of one assessment, shared by the three statistics (Bonferroni).
    """
    columns = [np.ones(len(predicted)), tokens, oov_tokens, confidence, *(predicted == index for index in range(len(labels)))]
    sample = _Sample(groups, np.stack(columns, axis=1).astype(np.float64))
    count, rng = window_count(alpha), np.random.default_rng(seed)
    drawn, resampled = _Measured(sample.windows(count, window, rng)), _Measured(sample.resamples(count, rng))
    whole, level = _Measured(sample.group_sums.sum(axis=0, keepdims=True)), alpha / len(STATISTICS)
    divergence = jensen_shannon(drawn.class_share, resampled.class_share)
    oov, mean_confidence = float(whole.oov_rate[0]), float(whole.mean_confidence[0])
    means = {"oov_rate": oov, "mean_confidence": mean_confidence, "class_divergence": float(divergence.mean())}
    thresholds = {
        "oov_rate": oov + np.quantile(drawn.oov_rate - resampled.oov_rate, 1 - level),
        "mean_confidence": mean_confidence + np.quantile(drawn.mean_confidence - resampled.mean_confidence, level),
        "class_divergence": np.quantile(divergence, 1 - level),
    }
    return {
        "window": window,
        "alpha": alpha,
        "windows": count,
        "texts": len(predicted),
        **{
            name: {"mean": means[name], "threshold": float(thresholds[name]), "direction": direction}
            for name, direction in STATISTICS.items()
        },
        "class_share": {label: float(share) for label, share in zip(labels, whole.class_share[0], strict=True)},
    }


@dataclass(frozen=True)
class _Measured:
    """The statistics (n,) of n sets of texts, from their sums (n, 4 + labels): texts, tokens, unknown ones, confidence, classes."""

    sums: Floats

    @property
    def oov_rate(self) -> Floats:
        return np.asarray(self.sums[:, 2] / np.maximum(1, self.sums[:, 1]))

    @property
    def mean_confidence(self) -> Floats:
        return np.asarray(self.sums[:, 3] / self.sums[:, 0])

    @property
    def class_share(self) -> Floats:
        return np.asarray(self.sums[:, 4:] / self.sums[:, :1])


class _Sample:
    """Texts by group, as running sums: what a group, or the first texts of one, add up to is a difference."""

    def __init__(self, groups: Sequence[str], values: Floats) -> None:
        _, group_of, self._sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
        ordered = values[np.argsort(group_of, kind="stable")]
        self._running = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(ordered, axis=0)])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self.group_sums = self._sums(np.arange(len(self._sizes)), self._sizes)

    def windows(self, count: int, window: int, rng: np.random.Generator) -> Floats:
        """Sums (count, columns) of windows: whole groups with replacement until it is full; the last one may be cut."""
        most = math.ceil(window / int(self._sizes.min()))

        def draw(size: int) -> Floats:
            drawn = rng.integers(len(self._sizes), size=(size, most))
            filled = np.minimum(np.cumsum(self._sizes[drawn], axis=1), window)
            return np.asarray(self._sums(drawn, np.diff(filled, axis=1, prepend=0)).sum(axis=1))

        return _in_chunks(draw, count, most)

    def resamples(self, count: int, rng: np.random.Generator) -> Floats:
        """Sums (count, columns) of as many groups as there are, with replacement."""
        groups = len(self._sizes)
        return _in_chunks(lambda size: np.asarray(self.group_sums[rng.integers(groups, size=(size, groups))].sum(axis=1)), count, groups)

    def _sums(self, groups: Integers, texts: Integers) -> Floats:
        """Sums (..., columns) of the first ``texts`` (...) of each of ``groups`` (...)."""
        starts = self._starts[groups]
        return np.asarray(self._running[starts + texts] - self._running[starts])


def _in_chunks(draw: Callable[[int], Floats], count: int, groups: int) -> Floats:
    size = max(1, _CHUNK // groups)
    return np.concatenate([draw(min(size, count - done)) for done in range(0, count, size)])
