"""Live weights of champion and challenger: what is wanted, and whether it is there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.shared_words import CHALLENGER, CHAMPION
from lambdas.rollout.endpoint import CHANGING, EndpointUpdating, live_share, live_weights

_CLOSE = 1e-6


class EndpointUnusable(RuntimeError):
    """The endpoint cannot take weights before a person has repaired it."""


def weights_of(share: float) -> dict[str, float]:
    """Weights for a challenger's share of 0..1. Raises ValueError outside of it."""
    if not 0 <= share <= 1:
        raise ValueError(f"share {share!r} must lie within 0 and 1: it is the challenger's part of the traffic")
    return {CHAMPION: round(1 - share, 6), CHALLENGER: round(share, 6)}


def change(endpoint: Mapping[str, Any], share: float | None) -> dict[str, float] | None:
    """The weights to ask for, or None when they are live.

    Args:
        endpoint: DescribeEndpoint.
        share: the challenger's part of the traffic, 0..1; None when the live one stays.

    Raises:
        EndpointUpdating: an update runs.
        EndpointUnusable: it is neither InService nor on its way there.
    """
    status = endpoint["EndpointStatus"]
    if status in CHANGING:
        raise EndpointUpdating(f"endpoint {endpoint['EndpointName']} is {status}")
    if status != "InService":
        raise EndpointUnusable(f"endpoint {endpoint['EndpointName']} is {status}: {endpoint.get('FailureReason', 'no reason given')}")
    if share is None or (sum(live_weights(endpoint).values()) > 0 and abs(live_share(endpoint) - share) < _CLOSE):
        return None
    return weights_of(share)
