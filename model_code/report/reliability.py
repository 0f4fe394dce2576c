"""Whether the confidence is what it says: a reliability table, and the calibration error with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_code.calibration import expected_calibration_error
from model_code.scoring import Floats, Resamples, exact_share

BINS, DRAWS = 15, 1_000


def reliability(confidence: Floats, correct: NDArray[np.bool_], groups: Sequence[str], *, seed: int) -> dict[str, Any]:
    """``{"bins":[{"low","high","texts","confidence","accuracy","accuracy_low","accuracy_high"}],"ece":{"value","low","high"},
    "ece_if_perfect":{"mean","high"}}``.

    A bin may have a handful of texts, so its accuracy has an exact interval (:func:`model_code.scoring.exact_share`).
    The error of a finite test set is never 0: ``ece_if_perfect`` is that of a model of these confidences that is perfectly calibrated.
    For the same reason resamples have a larger error than the texts themselves, so the interval is moved back by that difference.
    """
    which = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins, group_of = [], np.asarray(groups)
    for index in range(BINS):
        inside = which == index
        if inside.any():
            mean, share = float(confidence[inside].mean()), exact_share(correct[inside], group_of[inside])
            bounds = {"low": round(index / BINS, 4), "high": round((index + 1) / BINS, 4)}
            ends = {f"accuracy_{end}": share[end] for end in ("low", "high")}
            bins.append({**bounds, "texts": int(inside.sum()), "confidence": round(mean, 4), "accuracy": share["value"], **ends})
    # A bin's share of the error is |its confidence less its hits|: sums over groups, so no text is touched twice.
    gaps = np.zeros((len(confidence), BINS))
    gaps[np.arange(len(confidence)), which] = confidence - correct
    drawn = np.abs(Resamples.draw(groups, count=DRAWS, seed=seed).means(gaps)).sum(axis=1)
    value = expected_calibration_error(confidence, correct, BINS)
    low, high = np.maximum(0, np.quantile(drawn, (0.025, 0.975)) - (drawn.mean() - value))
    perfect = [_perfect(confidence, which, np.random.default_rng((seed, number))) for number in range(200)]
    return {
        "bins": bins,
        "ece": {"value": round(value, 4), "low": round(float(low), 4), "high": round(float(high), 4)},
        "ece_if_perfect": {"mean": round(float(np.mean(perfect)), 4), "high": round(float(np.quantile(perfect, 0.95)), 4)},
    }


def _perfect(confidence: Floats, which: NDArray[np.int64], rng: np.random.Generator) -> float:
    gaps = confidence - (rng.random(len(confidence)) < confidence)
    return float(np.abs(np.bincount(which, weights=gaps, minlength=BINS)).sum() / len(confidence))
