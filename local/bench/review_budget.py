"""What the order of a daily budget is worth: half of the unsure texts are chosen by the app, by confidence alone, or by chance.

All of them wait equally long here, so the part of the order that is about age decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewState
from lambdas.review.reconcile.budget import ranked
from local.bench.review_figures import Asked, Indices, Pool, labels_of_people
from model_code import scoring
from model_code.review_threshold import threshold_for_share

SHARE, PLACES = 0.2, 0.5
"""Share of the texts that the model is unsure of, and share of these that the budget has places for."""
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def budget_order(pool: Pool, asked: Asked, rng: np.random.Generator) -> dict[str, Any]:
    """Accuracy and macro-F1 of model and people together, by the order in which the texts are chosen. Up to three people see each."""
    threshold = threshold_for_share(pool.confidence, SHARE)
    unsure = np.flatnonzero(pool.confidence < threshold)
    orders: dict[str, Callable[[], Indices]] = {
        "as the app": lambda: _ranked(pool, unsure, threshold),
        "by confidence": lambda: unsure[np.argsort(pool.confidence[unsure], kind="stable")],
        "by chance": lambda: rng.permutation(unsure),
    }
    people = labels_of_people(pool, asked)
    found: dict[str, Any] = {"nobody": _quality(pool, asked, people, unsure[:0]), "all of them": _quality(pool, asked, people, unsure)}
    for name, order in orders.items():
        found[name] = _quality(pool, asked, people, order()[: round(len(unsure) * PLACES)])
    return found


def _ranked(pool: Pool, unsure: Indices, threshold: float) -> Indices:
    waiting = [
        StoredPrediction(
            prediction_id=str(text),
            text="",
            created_at=_NOW.isoformat(),
            expires_at=0,
            review_state=ReviewState.WAITING,
            attempt=1,
            label=pool.labels[pool.predicted[text]],
            confidence=float(pool.confidence[text]),
            review_threshold=threshold,
        )
        for text in unsure.tolist()
    ]
    return np.array([int(one.prediction_id) for one in ranked(waiting, _NOW, timedelta(days=1))], dtype=np.int64)


def _quality(pool: Pool, asked: Asked, people: Indices, seen: Indices) -> dict[str, float]:
    """``people``: the label that people give to each text, (texts,); -1 where they come to none, and the model's stands."""
    together = pool.predicted.copy()
    together[seen] = np.where(people[seen] >= 0, people[seen], together[seen])
    return {
        "accuracy": scoring.accuracy(asked.right, together),
        "macro_f1": scoring.macro_f1(asked.right, together),
    }
