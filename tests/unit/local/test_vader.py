"""The label rule of the corpus, and labels that are shuffled on purpose."""

from __future__ import annotations

import pytest

from contracts.dataset import Row
from local.texts.vader import plurality, shuffle_labels


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


def test_shuffled_labels_keep_their_counts_and_leave_their_texts() -> None:
    original = [Row(str(i), str(i), "positive" if i % 3 else "negative", {}, "g", "s", "s") for i in range(60)]
    shuffled = shuffle_labels(original, seed=1)
    assert [r.text for r in shuffled] == [r.text for r in original]
    assert sorted(r.label for r in shuffled) == sorted(r.label for r in original)
    assert [r.label for r in shuffled] != [r.label for r in original]
