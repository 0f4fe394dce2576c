"""Where requests go: pure functions over weights, fleets and shift policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

FleetName = Literal["blue", "green"]


@dataclass(frozen=True)
class Route:
    """A share of the traffic: one variant of one fleet."""

    fleet: FleetName
    variant: str
    share: float


def routes(blue: Mapping[str, float], green: Mapping[str, float], green_share: Mapping[str, float]) -> list[Route]:
    """Traffic over both fleets: by weight over the sum of weights, and within a variant by the share that is already shifted.

    Args:
        blue: variant -> weight of the running fleet.
        green: variant -> weight of the fleet that is coming up; empty without an update.
        green_share: variant -> 0..1, how much of that variant's traffic the green fleet takes.
    """
    found: list[Route] = []
    fleets: tuple[tuple[FleetName, Mapping[str, float]], ...] = (("blue", blue), ("green", green))
    for fleet, weights in fleets:
        total = sum(weights.values())
        for variant, weight in weights.items():
            shifted = green_share.get(variant, 0.0)
            part = shifted if fleet == "green" else 1.0 - shifted
            share = weight / total * part if total > 0 else 0.0
            found.append(Route(fleet, variant, share))
    return found


def choose(candidates: Sequence[Route], draw: float) -> Route | None:
    """The route at ``draw`` (0 <= draw < 1) of the candidates' summed shares; None when all shares are zero."""
    total = sum(route.share for route in candidates)
    left = draw * total
    for route in candidates:
        if route.share > 0 and left < route.share:
            return route
        left -= route.share
    return next((route for route in reversed(candidates) if route.share > 0), None)


def aimed_at(variant: str, known: Sequence[str], green: Sequence[str], green_share: Mapping[str, float]) -> list[Route]:
    """Routes of a request with TargetVariant: the weights do not count, the fleet shift does."""
    shifted = green_share.get(variant, 0.0)
    blue_routes = [Route("blue", variant, 1.0 - shifted)] if variant in known else []
    return blue_routes + ([Route("green", variant, shifted)] if variant in green else [])


class BadShiftPolicy(ValueError):
    """A deployment configuration that the service refuses."""


def shift_steps(policy: Mapping[str, Any], counts: Mapping[str, int]) -> list[dict[str, int]]:
    """Active green instances by variant after each step of a BlueGreenUpdatePolicy; the last step is everything.

    Args:
        counts: variant -> instances of the green fleet.

    Raises:
        BadShiftPolicy: a step size is missing or outside what the service takes: a canary of at most 50 % and linear steps
            of 10-50 % of a variant's instances. A variant of one instance can do neither.
    """
    routing = policy["TrafficRoutingConfiguration"]
    kind = routing["Type"]
    everything = dict(counts)
    if kind == "ALL_AT_ONCE":
        return [everything]
    field = "CanarySize" if kind == "CANARY" else "LinearStepSize"
    size = routing.get(field)
    if size is None:
        raise BadShiftPolicy(f"TrafficRoutingConfiguration of type {kind} needs {field}.")
    batch = {variant: _batch(field, size, variant, count) for variant, count in counts.items()}
    if kind == "CANARY":
        return [batch, everything]
    rounds = max(-(-count // batch[variant]) for variant, count in counts.items())
    return [{variant: min(count, batch[variant] * step) for variant, count in counts.items()} for step in range(1, rounds + 1)]


def _batch(field: str, size: Mapping[str, Any], variant: str, count: int) -> int:
    value = int(size["Value"])
    if size["Type"] == "CAPACITY_PERCENT":
        low = 1 if field == "CanarySize" else 10
        if not low <= value <= 50:
            raise BadShiftPolicy(f"{field} of {value} CAPACITY_PERCENT must be between {low} and 50.")
        instances = max(1, count * value // 100)
    else:
        instances = value
        if field == "LinearStepSize" and value * 10 < count:
            raise BadShiftPolicy(f"{field} of {value} instances is below 10% of the {count} instances of variant {variant}.")
    if instances * 2 > count:
        raise BadShiftPolicy(
            f"{field} must be less than or equal to 50% of the variant's total instance count: "
            f"{instances} of {count} instances of variant {variant} is more."
        )
    return instances


def total_wait(policy: Mapping[str, Any], steps: int) -> int:
    """Declared seconds that a policy waits: the interval between steps and the termination wait after the last."""
    interval = int(policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"])
    return interval * (steps - 1) + int(policy.get("TerminationWaitInSeconds", 0))
