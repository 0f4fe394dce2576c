"""From logits to calibrated probabilities.

Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONFIDENCE_DIGITS = 6
"""Digits after the point with which a model serves its probabilities."""


def softmax(logits: Floats, temperature: float = 1.0) -> Floats:
    """Probabilities (n, labels) of logits (n, labels)."""
    scaled = logits / temperature
    exponents = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(exponents / exponents.sum(axis=1, keepdims=True))


def negative_log_likelihood(probabilities: Floats, truth: NDArray[np.int64], weights: Floats | None = None) -> float:
    """Mean over the texts (n,); ``weights`` (n,) count a text more or less than once."""
    return float(np.average(-np.log(np.clip(probabilities[np.arange(len(truth)), truth], 1e-12, 1)), weights=weights))


def fit_temperature(logits: Floats, truth: NDArray[np.int64], weights: Floats | None = None) -> float:
    """The temperature in [0.25, 4] with the least negative log-likelihood on (n, labels) logits and (n,) labels, as they are weighted."""
    grid = np.exp(np.linspace(np.log(0.25), np.log(4), 161))
    return float(min(grid, key=lambda temperature: negative_log_likelihood(softmax(logits, float(temperature)), truth, weights)))


def expected_calibration_error(confidence: Floats, correct: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean gap of confidence and accuracy over equal-width bins, weighted by their size."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    total = 0.0
    for index in range(bins):
        inside = which == index
        if inside.any():
            total += float(inside.mean()) * abs(float(confidence[inside].mean()) - float(correct[inside].mean()))
    return total
