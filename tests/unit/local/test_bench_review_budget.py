"""What the bench says of a daily budget's order, on texts where it is known."""

from __future__ import annotations

import numpy as np
import pytest

from local.bench.review_budget import budget_order
from local.bench.review_figures import Asked, Pool


def pool() -> tuple[Pool, Asked]:
    """Of 100 texts the model is unsure of 20. It is wrong about the 10 of which it is least sure; people are always right."""
    confidence = np.concatenate([np.linspace(0.51, 0.6, 20), np.full(80, 0.99)])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    truth = np.array([1] * 10 + [0] * 90)
    votes = np.repeat(truth[:, None], 3, axis=1)
    made = Pool(("good", "bad"), probabilities, truth, np.repeat(truth[:, None], 18, axis=1), np.arange(100))
    return made, Asked(votes, np.tile(np.arange(3), (100, 1)), truth)


def test_the_texts_that_the_model_is_least_sure_of_gain_most() -> None:
    found = budget_order(*pool(), np.random.default_rng(1))
    assert found["nobody"]["accuracy"] == pytest.approx(0.9)
    assert found["by confidence"] == found["as the app"] == found["all of them"] == {"accuracy": 1.0, "macro_f1": 1.0}
    assert 0.9 < found["by chance"]["accuracy"] < 1


def test_where_people_come_to_no_label_the_models_answer_stands() -> None:
    texts, asked = pool()
    split = Asked(np.tile([0, 1], (100, 1)), asked.columns[:, :2], asked.right)
    found = budget_order(texts, split, np.random.default_rng(1))
    assert {one["accuracy"] for one in found.values()} == {0.9}
