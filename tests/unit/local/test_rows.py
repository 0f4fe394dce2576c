"""The first split of a dataset."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import Row
from local.texts.splitting import split_by_group


def rows(groups: list[int]) -> list[Row]:
    return [Row(f"{i}", f"text {i}", "positive", {"positive": 1}, f"g{group}", "amazon", "s") for i, group in enumerate(groups)]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), st.integers(0, 5))
def test_no_group_is_on_two_sides_and_no_row_is_lost(groups: list[int], seed: int) -> None:
    splits = split_by_group(rows(groups), seed=seed)
    sides = {name: {row.group for row in part} for name, part in splits.items()}
    assert sum(len(part) for part in splits.values()) == len(groups)
    assert not (sides["train"] & sides["test"] or sides["train"] & sides["validation"] or sides["validation"] & sides["test"])
