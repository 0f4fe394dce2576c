"""What is different when a champion is trained further: which old rows are used again, and how much each validation row counts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contracts.dataset import Row

WEIGHT_BOUNDS = (0.1, 10.0)


def replayed(rows: Sequence[Row], *, most: int, seed: int) -> list[Row]:
    """All new rows and at most ``most`` of the others, in the given order; the hash of seed and id chooses, alike in every trial.

    All rows when ``most`` is 0, or when the version marks none as new.
    """
    old = [row for row in rows if not row.new]
    if most == 0 or len(old) == len(rows):
        return list(rows)
    ranked = sorted(old, key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
    chosen = {row.id for row in ranked[:most]}
    return [row for row in rows if row.new or row.id in chosen]


def training_shares(train: Sequence[Row], validation: Sequence[Row]) -> NDArray[np.float64]:
    """Weights (validation rows,) by which each slice counts as much as in training, within :data:`WEIGHT_BOUNDS`.

    Validation grows by a few new texts beside all the old ones, so unweighted it would choose the trial that learnt least.
    """
    trained, held_out = (Counter(row.slice for row in rows) for rows in (train, validation))
    weights = [trained[row.slice] / len(train) / (held_out[row.slice] / len(validation)) for row in validation]
    return np.array(np.clip(weights, *WEIGHT_BOUNDS), dtype=np.float64)


def effective_size(weights: NDArray[np.float64]) -> float:
    """How many equally weighted rows would say as much. Source: Kish, "Survey Sampling", 1965."""
    return float(weights.sum() ** 2 / (weights**2).sum())
