"""Instances of champion and challenger, and the bounds of the challenger's autoscaling, follow their shares of the traffic. Pure.

Autoscaling alone would be late twice. A winner gets all callers with the instances that had served a part of them, and scales out only
after minutes above its target. A challenger without callers keeps its instances for a quarter of an hour, or for good if its metric has no
data (Application Auto Scaling user guide, "How target tracking works").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from contracts.shared_words import CHALLENGER, CHAMPION


class Capacity(StrEnum):
    """``AS_IS``: autoscaling's business. ``OPEN``: a challenger comes, and may have as many instances as the
    champion. ``TAKE_OVER``: the champion gets what it needs for all callers (:func:`needed`). ``TAKE_BACK``: the same, asked for
    once. The next change of the endpoint waits for it anyway, and an autoscaler that takes an instance back again keeps no bad challenger
    before the callers. ``SETTLE``: the challenger has no callers any more, gets its fewest, and may have no more.
    """

    AS_IS = "as_is"
    OPEN = "open"
    TAKE_OVER = "take_over"
    TAKE_BACK = "take_back"
    SETTLE = "settle"


def instances(endpoint: Mapping[str, Any]) -> dict[str, int]:
    """Variant -> instances now. ``endpoint``: DescribeEndpoint."""
    return {variant["VariantName"]: int(variant["CurrentInstanceCount"]) for variant in endpoint["ProductionVariants"]}


def needed(endpoint: Mapping[str, Any], share: float) -> int:
    """Instances with which the champion alone serves all callers as well as now; with a challenger in the shadow, those that it has.

    Args:
        endpoint: DescribeEndpoint.
        share: the challenger's part of the traffic, 0..1.
    """
    now = instances(endpoint)
    both = sum(now.values())
    return both if share >= 1 else min(both, math.ceil(round(now[CHAMPION] / (1 - share), 6)))


def more_or_fewer(endpoint: Mapping[str, Any], capacity: Capacity, bounds: tuple[int, int] | None, alone: int) -> tuple[str, int] | None:
    """The variant whose instances are to be changed, and their new number; None when nothing is to be changed.

    Args:
        bounds: fewest and most instances of a variant; None without autoscaling, where the numbers are what somebody set.
        alone: what the champion needs for all callers, by :func:`needed` before it takes over; 0 when unknown.
    """
    if bounds is None or capacity in (Capacity.AS_IS, Capacity.OPEN):
        return None
    (fewest, most), now = bounds, instances(endpoint)
    if capacity in (Capacity.TAKE_OVER, Capacity.TAKE_BACK):
        wanted = min(alone, most)
        return (CHAMPION, wanted) if now[CHAMPION] < wanted else None
    return (CHALLENGER, fewest) if now[CHALLENGER] > fewest else None


def challenger_bounds(capacity: Capacity, bounds: tuple[int, int] | None) -> tuple[int, int] | None:
    """Fewest and most instances that autoscaling may now give to the challenger; None when they stay as they are.

    Both variants answer every text while they are compared, so the challenger's bounds are then the champion's.

    Args:
        bounds: of the settings, for each variant; None without autoscaling.
    """
    if bounds is None or capacity not in (Capacity.OPEN, Capacity.SETTLE):
        return None
    return bounds if capacity is Capacity.OPEN else (bounds[0], bounds[0])
