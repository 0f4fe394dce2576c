"""The label rule and the split of the corpus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_code.data import Row
from model_code.vader import plurality, shuffle_labels, split_by_group


@pytest.mark.parametrize(
    ("ratings", "label"),
    [
        ([1, 2, -1], "positive"),
        ([-3, -1, 0], "negative"),
        ([0, 0, 4], "neutral"),
        ([-1, -1, 3, 3], "positive"),  # tied: the mean is above 0 and positive is among the tied
        ([-2, 2], "neutral"),  # tied, mean 0: neutral is not among the tied, and still the answer
        ([0, 0, -3, -3, 1], "negative"),
        ([0, 0, -1, -1, 4], "neutral"),  # tied neutral and negative, mean positive is not among them
    ],
)
def test_plurality_of_signs_with_ties_by_the_mean(ratings: list[float], label: str) -> None:
    assert plurality(ratings) == label


def rows(groups: list[int]) -> list[Row]:
    return [Row(f"{i}", f"text {i}", "positive", {"positive": 1}, f"g{group}", "amazon", "s") for i, group in enumerate(groups)]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), st.integers(0, 5))
def test_no_group_is_on_two_sides_and_no_row_is_lost(groups: list[int], seed: int) -> None:
    splits = split_by_group(rows(groups), seed=seed)
    sides = {name: {row.group for row in part} for name, part in splits.items()}
    assert sum(len(part) for part in splits.values()) == len(groups)
    assert not (sides["train"] & sides["test"] or sides["train"] & sides["validation"] or sides["validation"] & sides["test"])


def test_shuffled_labels_keep_their_counts_and_leave_their_texts() -> None:
    original = [Row(str(i), str(i), "positive" if i % 3 else "negative", {}, "g", "s", "s") for i in range(60)]
    shuffled = shuffle_labels(original, seed=1)
    assert [r.text for r in shuffled] == [r.text for r in original]
    assert sorted(r.label for r in shuffled) == sorted(r.label for r in original)
    assert [r.label for r in shuffled] != [r.label for r in original]
