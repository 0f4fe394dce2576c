"""The simulated retrainings: their models, what the gates are shown, and the figures that are written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from local.bench import gates
from local.bench.gates import Cell, Frozen, Life, figures, lives


def test_models_have_their_true_accuracy_and_two_differ_on_one_text_in_eight() -> None:
    test = Frozen(40_000, np.random.default_rng(1))
    one, other = (test.answers(0.75) == test._truth for _ in range(2))
    assert one.mean() == pytest.approx(0.75, abs=0.01)
    assert (one != other).mean() == pytest.approx(0.115, abs=0.01)


def test_small_losses_add_up_until_the_best_champion_so_far_is_compared_with() -> None:
    found = lives(Cell(900, 0.06, -0.01), 1, 0, 2)
    for without, with_best in found:
        assert without.fall > 0.08
        assert with_best.fall < without.fall
        assert with_best.refused > without.refused
    assert lives(Cell(900, 0.06, -0.01), 1, 0, 1) == found[:1]


def test_the_figures_are_shares_of_all_candidates() -> None:
    found = figures(Cell(900, 0.06, -0.01), [(Life(0.1, 0), Life(0.05, 5)), (Life(0.08, 2), Life(0.03, 7))])
    assert found["champion_only"] == {"fall_points": 9.0, "fall_points_95_of_100": 9.9, "refused": 0.1}
    assert found["with_best"]["refused"] == 0.6
    json.dumps(found, allow_nan=False)


def test_every_app_is_in_one_batch_and_steps_count_the_batches_of_all_cells() -> None:
    assert gates.batches(45) == [20, 20, 5]
    assert gates.steps(45) == 3 * len(gates.CELLS)
