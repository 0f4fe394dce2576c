"""How a rollout that was stopped anywhere is taken back: the champion that really serves goes on alone. Pure.

What runs decides, not the record: a rollout that was stopped may have written its record before its stack update, and the update may
have been rolled back since. The states that a stop leaves behind:

================================  ==============  =========================================================
release record                    endpoint        plan
================================  ==============  =========================================================
champion alone or with any other  in service      what the variant ``champion`` runs goes on alone
any                               changing        ask again: it takes no change, and what runs is not settled
any                               failed          the same champion, in a new endpoint: this one takes no update
any                               anything else   refused: it may serve, so nobody deletes it unasked
a first release                   none            nothing is released
none                              none            nothing to do
================================  ==============  =========================================================

After a promotion has been put in place the variant ``champion`` runs the new model, which had passed every step: it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contracts.shared_words import CHALLENGER, CHAMPION
from lambdas.common.release import EMPTY_RELEASE, InvalidRelease, Release
from lambdas.rollout.endpoint import CHANGING, DEAD, EndpointUpdating
from lambdas.rollout.plan_rollout.plan import InvalidRollout, Kind, RolloutPlan


def withdrawal(current: Release, endpoint: Mapping[str, Any] | None, packages: Mapping[str, str]) -> RolloutPlan:
    """The plan that takes back whatever was begun.

    Args:
        current: the release record as it is.
        endpoint: DescribeEndpoint, None when there is none.
        packages: variant name -> ARN of the model package that it runs; empty when that cannot be read.

    Raises:
        EndpointUpdating: the endpoint changes: the state machine asks again.
        InvalidRollout: the endpoint is in a state that a person must end.
    """
    if endpoint is None:
        why = "nothing serves: the release that was begun is taken back" if current.exists else "nothing is released, nothing serves"
        return _alone(Kind.WITHDRAWAL, EMPTY_RELEASE, EMPTY_RELEASE, why)
    name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
    if status in (*CHANGING, "Deleting"):
        raise EndpointUpdating(f"endpoint {name} is {status}")
    champion = serving(packages, current)
    if status == "InService":
        taken = sorted({package for package in (current.challenger, packages.get(CHALLENGER)) if package} - {champion.champion, "none"})
        back = f", {' and '.join(taken)} taken back" if taken else ""
        return _alone(Kind.WITHDRAWAL, champion, champion, f"{champion.champion} goes on alone{back}")
    if status not in DEAD:
        raise unusable(endpoint)
    why = f"endpoint {name} is {status}: {endpoint.get('FailureReason', 'no reason given')}"
    if not champion.exists:
        return _alone(Kind.WITHDRAWAL, EMPTY_RELEASE, EMPTY_RELEASE, f"{why}; nothing was released")
    return _alone(Kind.REBUILD, champion, EMPTY_RELEASE, f"{why}; it is made anew with {champion.champion} alone")


def unusable(endpoint: Mapping[str, Any]) -> InvalidRollout:
    """The refusal for a state that is neither in service, nor on its way there, nor dead, such as ``UpdateRollbackFailed``.

    Such an endpoint serves a mix of two configurations (SageMaker API reference, DescribeEndpoint), so it is not deleted.
    """
    name, status, why = endpoint["EndpointName"], endpoint["EndpointStatus"], endpoint.get("FailureReason", "no reason given")
    return InvalidRollout(
        f"endpoint {name} is {status}: {why}. It may still serve, so it is neither changed nor deleted: bring it back to "
        "InService (SageMaker developer guide, rolling deployments), or delete it, and start again"
    )


def _alone(kind: Kind, target: Release, withdrawn: Release, why: str) -> RolloutPlan:
    return RolloutPlan(kind, target, target, withdrawn, why)


def serving(packages: Mapping[str, str], current: Release) -> Release:
    """The champion that runs, alone; the record's where the running one is unknown or no model package."""
    running = Release(packages.get(CHAMPION, ""), packages.get(CHAMPION, ""))
    try:
        running.check()
    except InvalidRelease:
        return current.without_challenger()
    return running
