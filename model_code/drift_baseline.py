"""What is normal for a model's served texts: statistics over quiet windows made of whole groups.

Sentences of one review resemble each other, so thresholds that assume independent texts alarm on most quiet windows.
So windows are drawn here in whole groups. The texts from which they are drawn are a sample themselves, so each window is compared
with a resample of these texts (bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).

A statistic that cannot be used has a field ``unusable`` with the reason, and the drift check leaves it out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.dataset import Manifest, ReferenceText
from contracts.text import json_lines

_WORD = re.compile(r"\w+")
STATISTICS = {"oov_rate": "above", "mean_confidence": "below", "class_divergence": "above"}
REFERENCE_FILE = "reference/data.jsonl"
LEAST_WINDOWS = 2_000
WORDS, CHARACTERS = "words", "characters"
"""What the out-of-vocabulary rate counts: words, or characters where words say nothing."""
_MOST_UNKNOWN_WORDS = 0.5
TOLERANCE = 1e-6
"""A smaller difference is rounding: an answer's confidence has six digits."""
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


def characters(text: str) -> list[str]:
    """Lower-cased characters but white space."""
    return [character for character in text.lower() if not character.isspace()]


def units(text: str, basis: str) -> list[str]:
    """What the out-of-vocabulary rate counts in a text; ``basis`` is :data:`WORDS` or :data:`CHARACTERS`."""
    return words(text) if basis == WORDS else characters(text)


def vocabulary_basis(train: Sequence[str], held_out: Sequence[str]) -> str:
    """:data:`WORDS`, unless words say nothing of these texts: then :data:`CHARACTERS`.

    Emoji are no words, and a script without spaces makes one word of a whole clause. Words say nothing when most held-out texts
    have none, or most of their words are unknown although the texts are of the same kind.
    """
    known = {word for text in train for word in words(text)}
    found = [words(text) for text in held_out]
    flat = [word for text in found for word in text]
    unknown = sum(word not in known for word in flat)
    speaking = 2 * sum(map(bool, found)) >= len(found) and unknown <= _MOST_UNKNOWN_WORDS * len(flat)
    return WORDS if known and speaking else CHARACTERS


def out_of_vocabulary(text: str, vocabulary: Collection[str], basis: str = WORDS) -> tuple[int, int]:
    """(units, units that the training texts never had)."""
    found = units(text, basis)
    return len(found), sum(unit not in vocabulary for unit in found)


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """Divergence in bits (n,) of two distributions each, (n, labels). Source: Lin 1991."""
    middle = (p + q) / 2
    terms = [np.where(x > 0, x * np.log2(np.maximum(x, 1e-300) / np.maximum(middle, 1e-300)), 0.0) for x in (p, q)]
    return np.asarray(np.maximum(0.0, (terms[0] + terms[1]).sum(axis=1) / 2))


def window_count(alpha: float) -> int:
    """Windows enough to have ten beyond the quantile of each statistic."""
    return max(LEAST_WINDOWS, math.ceil(10 * len(STATISTICS) / alpha))


def baseline_of(
    texts: Sequence[Any],
    answers: Sequence[dict[str, Any]],
    labels: Sequence[str],
    *,
    basis: str,
    window: int,
    alpha: float,
    seed: int,
) -> dict[str, Any]:
    """:func:`compute_baseline` of a model's inference answers, one a text; each text has its ``group``."""
    return compute_baseline(
        groups=[text.group for text in texts],
        tokens=np.array([answer["tokens"] for answer in answers]),
        oov_tokens=np.array([answer["oov_tokens"] for answer in answers]),
        confidence=np.array([answer["confidence"] for answer in answers]),
        predicted=np.array([list(labels).index(answer["label"]) for answer in answers]),
        labels=labels,
        basis=basis,
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
    basis: str = WORDS,
    seed: int = 0,
) -> dict[str, Any]:
    """The contract's ``drift_baseline`` from texts that the model has not been trained on; all arrays are (texts,).

    Args:
        basis: what ``tokens`` and ``oov_tokens`` count, :data:`WORDS` or :data:`CHARACTERS`.
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
    limits = {"oov_rate": 1.0, "mean_confidence": 1 / len(labels), "class_divergence": largest_divergence(whole.class_share[0])}
    found = {name: _statistic(means[name], float(thresholds[name]), direction, limits[name]) for name, direction in STATISTICS.items()}
    if not tokens.any():
        found["oov_rate"] |= {"mean": None, "threshold": None, "unusable": f"the baseline's texts have no {basis}"}
    found["oov_rate"]["basis"] = basis
    return {
        "window": window,
        "alpha": alpha,
        "windows": count,
        "texts": len(predicted),
        **found,
        "class_share": {label: float(share) for label, share in zip(labels, whole.class_share[0], strict=True)},
    }


def _statistic(mean: float, threshold: float, direction: str, limit: float) -> dict[str, Any]:
    """One statistic of the baseline. ``limit`` is the highest value it can have, or the lowest where the direction is below."""
    if abs(threshold - mean) < TOLERANCE:
        threshold = mean
    beyond = threshold >= limit if direction == "above" else threshold <= limit
    never = (
        f"its threshold {threshold:.4f} can never be passed: the statistic is at {'most' if direction == 'above' else 'least'} {limit:.4f}"
    )
    return {"mean": mean, "threshold": threshold, "direction": direction, **({"unusable": never} if beyond else {})}


def largest_divergence(share: Floats) -> float:
    """The largest divergence that any window's classes can have from the class shares (labels,): all of the rarest class."""
    return float(jensen_shannon(np.broadcast_to(share, (len(share), len(share))), np.eye(len(share))).max())


def unusable(baseline: Mapping[str, Any]) -> list[str]:
    """``"statistic: reason"`` for each statistic of a ``drift_baseline`` that cannot be used."""
    return [f"{name}: {baseline[name]['unusable']}" for name in STATISTICS if "unusable" in baseline[name]]


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
