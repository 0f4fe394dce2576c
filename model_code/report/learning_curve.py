"""How good the baseline gets with a quarter, half and all of the training rows, and what more labels would bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.dataset import Row
from model_code.baseline import QUICK_WEIGHTS, Baseline, sampled_groups
from model_code.scoring import Floats, Labels, Resamples

SHARES, MOST_ROWS = (0.25, 0.5, 1.0), 8_000
POINT = 0.01
METHOD = (
    "The accuracy of TF-IDF with logistic regression on the test set, trained on a part of the groups. A power law is fitted to its "
    "errors; intervals resample the test groups and not the choice of training texts. This is an estimate, and the fine-tuned model's "
    "curve may be another."
)


def learning_curve(
    train: Sequence[Row], truth: Labels, labels: int, test: Sequence[Row], test_truth: Labels, *, seed: int
) -> dict[str, Any]:
    """``{"method","of_rows","points":[{"rows","value","low","high"}],"next_point"}``; at most :data:`MOST_ROWS` rows are trained on."""
    order = sampled_groups([row.group for row in train], MOST_ROWS, seed)
    sizes = [max(1, round(share * len(order))) for share in SHARES]
    texts, asked = [train[index].text for index in order], [row.text for row in test]
    models = (Baseline(texts[:size], truth[order[:size]], labels, weights=QUICK_WEIGHTS) for size in sizes)
    right = np.stack([model.answers(asked) == test_truth for model in models], axis=1)
    resamples = Resamples.draw([row.group for row in test], count=1_000, seed=seed)
    drawn = resamples.means(right.astype(np.float64))
    points = [
        {"rows": size, "value": round(float(value), 4), "low": round(float(low), 4), "high": round(float(high), 4)}
        for size, value, (low, high) in zip(sizes, right.mean(axis=0), np.quantile(drawn, (0.025, 0.975), axis=0).T, strict=True)
    ]
    more = next_point(sizes, right.mean(axis=0), drawn, len(train))
    return {"method": METHOD, "of_rows": len(train), "points": points, "next_point": more}


def next_point(sizes: Sequence[int], accuracy: Floats, drawn: Floats, of_rows: int) -> dict[str, Any] | None:
    """How many more rows the next point of accuracy needs: ``{"rows","low","high"}``, or None where no gain from more rows is seen.

    ``high`` is None where the interval goes so far that no number can be said.

    Args:
        accuracy: at each size, (sizes,). drawn: the same in resamples, (resamples, sizes).
        of_rows: the training rows that are there. The largest size may be a sample of them.
    """
    value = _more_rows(sizes, accuracy[np.newaxis], of_rows)[0]
    if not np.isfinite(value):
        return None
    low, high = np.quantile(_more_rows(sizes, drawn, of_rows), (0.025, 0.975), method="inverted_cdf")
    return {"rows": _rounded(value), "low": _rounded(low), "high": _rounded(high) if np.isfinite(high) else None}


def _more_rows(sizes: Sequence[int], accuracy: Floats, of_rows: int) -> Floats:
    """(n,) of accuracies (n, sizes), by the power law ``error = a * rows ** -b`` fitted in logarithms; infinite where b is not above 0.

    They are counted from ``of_rows`` on, with the error that the law gives there.
    """
    x, errors = np.log(np.asarray(sizes, dtype=np.float64)), np.maximum(1 - accuracy, 1e-6)
    centred = x - x.mean()
    slope = -(np.log(errors) @ centred) / (centred @ centred)
    wanted = 1 - POINT / (errors[:, -1] * (of_rows / sizes[-1]) ** -slope)
    usable = (slope > 1e-3) & (wanted > 0)
    exponent = np.where(usable, -np.log(np.where(usable, wanted, 1.0)) / np.where(usable, slope, 1.0), np.inf)
    return np.asarray(np.where(exponent < 10, of_rows * np.expm1(np.minimum(exponent, 10)), np.inf))


def _rounded(rows: float) -> int:
    """The number with two significant digits. More would suggest a precision that it does not have."""
    digits = max(0, len(str(int(rows))) - 2)
    return int(round(float(rows), -digits))
