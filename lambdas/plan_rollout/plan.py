"""What a rollout will do: a first release, an experiment, or nothing. Pure, and refuses what must not be released."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lambdas.common.release import Release

APPROVED = "Approved"


class InvalidRollout(ValueError):
    """The input cannot be rolled out; the text names the field, the value and what to do."""


class Kind(StrEnum):
    """``UNCHANGED``: champion and challenger serve already. ``FIRST``: nothing serves yet. ``EXPERIMENT``: step by step."""

    UNCHANGED = "unchanged"
    FIRST = "first"
    EXPERIMENT = "experiment"


@dataclass(frozen=True)
class RolloutInput:
    """The state machine's input."""

    release: Release
    reason: str

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> RolloutInput:
        """Raises InvalidRollout naming the field; unknown fields are refused, but for Step Functions' own."""
        known = {"champion", "challenger", "reason", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"}
        unknown = sorted(set(raw) - known)
        if unknown:
            raise InvalidRollout(f"input field {unknown[0]!r} is unknown: give champion, challenger and, if you like, reason")
        for field in ("champion", "challenger"):
            if not isinstance(raw.get(field), str):
                raise InvalidRollout(f"input.{field} {raw.get(field)!r} must be the ARN of a versioned model package")
        release = Release(raw["champion"], raw["challenger"])
        try:
            release.check()
        except ValueError as error:
            raise InvalidRollout(f"input: {error}") from None
        if not release.exists:
            raise InvalidRollout("input.champion 'none' releases nothing: give the ARN of a versioned model package")
        return cls(release, str(raw.get("reason") or "started by hand"))


@dataclass(frozen=True)
class RolloutPlan:
    """``target`` is put in place first; ``promoted`` follows when the challenger wins, ``withdrawn`` when it does not."""

    kind: Kind
    target: Release
    promoted: Release
    withdrawn: Release

    def as_json(self) -> dict[str, str]:
        records = {name: getattr(self, name).format() for name in ("target", "promoted", "withdrawn")}
        return {"kind": self.kind.value, **records}


def plan(wanted: Release, current: Release, approval: Mapping[str, str]) -> RolloutPlan:
    """Which records a rollout writes when it begins, when the challenger wins and when it does not.

    Args:
        current: the release record as it is.
        approval: ``ModelApprovalStatus`` of the wanted packages.

    Raises:
        InvalidRollout: a package is not approved, or the wanted champion is not the running one.
    """
    for field, package in (("champion", wanted.champion), ("challenger", wanted.challenger)):
        if approval[package] != APPROVED:
            raise InvalidRollout(
                f"input.{field} {package} is {approval[package]}, not {APPROVED}: approve the model package, then start again"
            )
    if not current.exists:
        return RolloutPlan(Kind.FIRST, wanted, wanted, current)
    if wanted == current:
        return RolloutPlan(Kind.UNCHANGED, wanted, wanted, wanted)
    if wanted.champion != current.champion:
        raise InvalidRollout(
            f"input.champion {wanted.champion} is not the running champion {current.champion}: "
            "release a new model as challenger of the running champion"
        )
    if not wanted.has_challenger:
        raise InvalidRollout(
            f"input.challenger {wanted.challenger} is the running champion itself: give the model package that shall challenge it"
        )
    return RolloutPlan(Kind.EXPERIMENT, wanted, wanted.promoted(), wanted.without_challenger())


def earlier(executions: list[Mapping[str, Any]], own_arn: str) -> str | None:
    """The name of another running rollout that began before this one; of two at once, the one with the smaller ARN goes on.

    Args:
        executions: ``ListExecutions`` of this state machine, status RUNNING.
    """
    own = next((item for item in executions if item["executionArn"] == own_arn), None)
    for item in executions:
        if item["executionArn"] == own_arn:
            continue
        if own is None or (item["startDate"], item["executionArn"]) < (own["startDate"], own_arn):
            return str(item["name"])
    return None
