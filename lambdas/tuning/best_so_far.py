"""Which champion is the best so far. The running champion's model package says it: pure.

A model package keeps which best champion its model was compared with, and by how much it is better or worse (macro-F1, on the same frozen
test texts). When it becomes champion, that is all that the next tuning needs to know. So no record of its own has to be kept in step with
releases, withdrawals and promotions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

BEST_PACKAGE, DIFFERENCE_TO_BEST = "best_package", "difference_to_best"
"""Of a model package's ``CustomerMetadataProperties``. A package of the time before them has neither, nor has a first model."""


def best_so_far(champion: str, properties: Mapping[str, str]) -> str:
    """ARN of the best champion so far: the champion itself, unless its own package says that an earlier one is better.

    Args:
        champion: ARN of the running champion's model package.
        properties: its ``CustomerMetadataProperties``.
    """
    best = properties.get(BEST_PACKAGE)
    if best is None or _number(properties.get(DIFFERENCE_TO_BEST)) >= 0:
        return champion
    return best


def compared_with_best(best_package: str | None, difference: float | None) -> dict[str, str]:
    """The same as properties of a new model package. ``difference``: candidate minus best; None where nothing could compare them."""
    if best_package is None:
        return {}
    return {BEST_PACKAGE: best_package, **({} if difference is None else {DIFFERENCE_TO_BEST: f"{difference:.4f}"})}


def _number(text: str | None) -> float:
    """Not a number for a text that is none: somebody has edited it, and no comparison with it is true."""
    try:
        return math.nan if text is None else float(text)
    except ValueError:
        return math.nan
