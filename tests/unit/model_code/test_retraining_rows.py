"""Which rows a retraining learns from, and how much each validation row counts for its objective."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import Row
from model_code.retraining import effective_size, replayed, training_shares


def row(number: int, slice_: str = "amazon", *, new: bool = False) -> Row:
    return Row(f"r{number}", "fine", "positive", {"positive": 3}, f"g{number}", slice_, "test", new)


OLD, NEW = [row(number) for number in range(40)], [row(100 + number, "recent", new=True) for number in range(7)]


def test_all_new_rows_and_a_bounded_number_of_old_ones_are_trained_on() -> None:
    chosen = replayed([*OLD, *NEW], most=10, seed=1)
    assert [one for one in chosen if one.new] == NEW
    assert sum(not one.new for one in chosen) == 10


def test_the_choice_is_the_same_in_every_trial_and_another_with_another_seed() -> None:
    assert replayed([*OLD, *NEW], most=10, seed=1) == replayed([*OLD, *NEW], most=10, seed=1)
    one, other = (replayed([*OLD, *NEW], most=10, seed=seed) for seed in (1, 2))
    assert one != other
    # A row's rank is its own: what stands beside it does not matter.
    assert set(map(id, replayed([*OLD[::-1], *NEW], most=10, seed=1))) == set(map(id, one))


@pytest.mark.parametrize("rows", [[*OLD, *NEW], OLD])
@pytest.mark.parametrize("most", [0, 40, 1_000])
def test_no_row_is_left_out_without_a_bound_or_below_it(rows: list[Row], most: int) -> None:
    assert replayed(rows, most=most, seed=1) == rows


def test_a_version_that_marks_no_row_as_new_is_trained_on_whole() -> None:
    assert replayed(OLD, most=5, seed=1) == OLD


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.lists(st.sampled_from("abc"), min_size=1, max_size=60))
def test_a_slice_weighs_in_validation_what_it_weighs_in_training(train: list[str], validation: list[str]) -> None:
    trained, held_out = ([row(n, name) for n, name in enumerate(names)] for names in (train, validation))
    weights = training_shares(trained, held_out)
    assert (weights >= 0.1).all()
    assert (weights <= 10).all()
    for name in set(validation):
        inside = np.array([one.slice == name for one in held_out])
        wanted = train.count(name) / len(train) / (inside.sum() / len(validation))
        assert weights[inside] == pytest.approx(np.clip(wanted, 0.1, 10))


def test_equal_weights_are_worth_every_row_and_unequal_ones_less() -> None:
    assert effective_size(np.full(8, 0.3)) == pytest.approx(8)
    assert effective_size(np.array([1.0, 1.0, 0.0])) == pytest.approx(2)
