"""The first split of dataset rows that are made on this machine."""

from __future__ import annotations

import random
from collections.abc import Iterable

from contracts.dataset import Row


def split_by_group(rows: Iterable[Row], *, seed: int, test: float = 0.25, validation: float = 0.15) -> dict[str, list[Row]]:
    """Split whole groups at random, so that the sentences of one review are all in the same split.

    Args:
        test: share of the groups, 0..1, as ``validation``; the rest is for training.
    """
    items = list(rows)
    groups = sorted({row.group for row in items})
    random.Random(seed).shuffle(groups)  # noqa: S311  (a reproducible split, not a secret)
    first, second = int(test * len(groups)), int((test + validation) * len(groups))
    place = {group: "test" if i < first else "validation" if i < second else "train" for i, group in enumerate(groups)}
    return {name: [row for row in items if place[row.group] == name] for name in ("train", "validation", "test")}
