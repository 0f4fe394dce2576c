"""How many word pieces of a text the model reads, where the settings leave that to the training texts (``max_length`` = ``auto``)."""

from __future__ import annotations

import numpy as np

from model_code.tokens import Counts

LENGTHS = (64, 96, 128, 192, 256, 384, 512)
WHOLE_TEXTS = 0.95
"""The share of the training texts that should be read whole."""
PIECES_PER_EPOCH = {"cpu": 500_000, "cuda": 20_000_000}
"""The budget: most pieces that an epoch may read, by device. docs/benchmarks.md has the time and memory that they need."""


def chosen_length(lengths: Counts, positions: int, most_pieces: int) -> int:
    """The shortest length at which :data:`WHOLE_TEXTS` of the texts are read whole, or the longest one within the budget.

    Args:
        lengths: Word pieces of the training texts, with special ones, (texts,).
        positions: What the base model reads at most.
        most_pieces: What an epoch may read of all texts together; the shortest length is allowed whatever it needs.
    """
    possible = [length for length in LENGTHS if length <= positions] or [positions]
    wanted = next((length for length in possible if (lengths <= length).mean() >= WHOLE_TEXTS), possible[-1])
    within = [length for length in possible if length <= wanted and np.minimum(lengths, length).sum() <= most_pieces]
    return max(within, default=possible[0])
