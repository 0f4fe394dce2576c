"""The record names the wanted champion alone already: the endpoint says whether there is something to do. Pure.

A rollout that was stopped may have written its record before its stack update, and an alarm may have taken the update back since. It may
also have left callers to the variant ``challenger``. What is found:

============  =====================================================  =======================================
endpoint      what it runs                                           plan
============  =====================================================  =======================================
in service    the champion in both variants, no callers to one       nothing to do
in service    anything else                                          the champion replaces it
changing      not settled                                            ask again
failed        nothing, and it takes no update                        the champion in a new endpoint
other         not known                                              refused
none          nothing                                                a first release
============  =====================================================  =======================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.shared_words import VARIANTS
from lambdas.common.release import EMPTY_RELEASE, Release
from lambdas.rollout.endpoint import CHANGING, DEAD, EndpointUpdating, live_share
from lambdas.rollout.plan_rollout.plan import Kind, RolloutPlan
from lambdas.rollout.plan_rollout.withdrawal import serving, unusable


def completed(recorded: Release, endpoint: Mapping[str, Any] | None, packages: Mapping[str, str]) -> RolloutPlan:
    """The plan that makes the endpoint run its record.

    Args:
        recorded: the release record, without a challenger.
        endpoint: DescribeEndpoint, None when there is none.
        packages: variant name -> ARN of the model package that it runs; empty when that cannot be read.

    Raises:
        EndpointUpdating: the endpoint changes: the state machine asks again.
        InvalidRollout: the endpoint is in a state that a person must end.
    """
    if endpoint is None:
        return RolloutPlan(Kind.FIRST, recorded, recorded, EMPTY_RELEASE)
    name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
    if status in (*CHANGING, "Deleting"):
        raise EndpointUpdating(f"endpoint {name} is {status}")
    if status in DEAD:
        return RolloutPlan(Kind.REBUILD, recorded, recorded, EMPTY_RELEASE)
    if status != "InService":
        raise unusable(endpoint)
    if live_share(endpoint) == 0 and all(packages.get(variant) == recorded.champion for variant in VARIANTS):
        return RolloutPlan(Kind.UNCHANGED, recorded, recorded, recorded)
    return RolloutPlan(Kind.REPLACEMENT, recorded, recorded, serving(packages, recorded))
