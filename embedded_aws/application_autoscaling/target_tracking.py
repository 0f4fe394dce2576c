"""Target tracking as a pure decision: rates and cooldowns to a capacity.

Scale out after three periods above the target, scale in after fifteen minutes below 90 % of it: the alarms that Application
Auto Scaling creates for SageMaker variants. A period is a minute, or ten seconds with a high-resolution metric. Scale-out is
proportional; scale-in never goes where the target would be exceeded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_IN_MINUTES = 15
_IN_SHARE = 0.9
_DEFAULT_COOLDOWN = 300


@dataclass
class Tracker:
    """When a target was last scaled, epoch seconds."""

    out_at: float = 0.0
    in_at: float = 0.0

    def remember(self, out: bool, now: float) -> None:
        if out:
            self.out_at = now
        else:
            self.in_at = now


def decide(
    config: Mapping[str, Any],
    rates: Sequence[float],
    recent: Sequence[float],
    *,
    current: int,
    bounds: tuple[int, int],
    tracker: Tracker,
    now: float,
    time_scale: float,
) -> int:
    """The capacity that one policy wants.

    Args:
        config: TargetTrackingScalingPolicyConfiguration.
        rates: metric per minute, oldest first, at least fifteen minutes.
        recent: metric in the last three periods.
        current: instances now.
        bounds: lowest and highest capacity.
        now: epoch seconds; cooldowns are declared seconds and last ``time_scale`` real seconds each.
    """
    target = float(config["TargetValue"])
    low, high = bounds
    last_change = max(tracker.out_at, tracker.in_at)
    if min(recent) > target:
        if now - tracker.out_at < config.get("ScaleOutCooldown", _DEFAULT_COOLDOWN) * time_scale:
            return current
        return min(high, max(current + 1, math.ceil(current * recent[-1] / target)))
    window = rates[-_IN_MINUTES:]
    if max(window) < _IN_SHARE * target and not config.get("DisableScaleIn"):
        if now - last_change < config.get("ScaleInCooldown", _DEFAULT_COOLDOWN) * time_scale:
            return current
        return max(low, min(current, math.ceil(current * max(window) / target)))
    return current


def in_flight(calls: Sequence[tuple[float, float]], end: float, width: float, periods: int) -> list[float]:
    """How many calls ran at the same time, on average, in each of the last periods; oldest first.

    Args:
        calls: (begin, end) of each, epoch seconds.
        end: of the last period.
        width: of a period in seconds.
    """
    start = end - width * periods
    busy = [0.0] * periods
    for began, ended in calls:
        first = max(0, int((began - start) // width))
        for index in range(first, periods):
            low, high = start + index * width, start + (index + 1) * width
            if ended <= low:
                break
            busy[index] += max(0.0, min(ended, high) - max(began, low))
    return [seconds / width for seconds in busy]
