"""Options that several commands have: each names what is allowed when its value is not."""

from __future__ import annotations

import argparse

_LARGEST_SEED = 2**32 - 1
"""NumPy's and scikit-learn's bound."""


def seed(value: str) -> int:
    """A seed that every random generator here takes."""
    if not value.isascii() or not value.isdecimal() or int(value) > _LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{value!r} is not a seed: a whole number from 0 to {_LARGEST_SEED}")
    return int(value)
