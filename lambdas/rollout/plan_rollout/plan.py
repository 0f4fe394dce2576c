"""What a rollout will do: a first release, an experiment, a switch, or nothing. Pure, and refuses what must not be released.

Taking a stopped rollout back is planned in ``withdrawal.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from lambdas.common.release import Release
from lambdas.rollout.progress import Approval, RolloutPolicy

APPROVED = "Approved"
Word = TypeVar("Word", RolloutPolicy, Approval)


class InvalidRollout(ValueError):
    """The input cannot be rolled out; the text names the field, the value and what to do."""


class Kind(StrEnum):
    """Which branch of the state machine a plan takes.

    ``UNCHANGED``: the champion serves alone already; :func:`plan` says so by the record, and ``in_place.py`` asks the endpoint.
    ``FIRST``: nothing serves yet. ``EXPERIMENT``: champion and challenger are compared. ``BLUE_GREEN``: the challenger becomes champion
    at once, and is watched. ``REPLACEMENT``: any other champion at once. ``WITHDRAWAL``: the champion alone again. ``REBUILD``: the
    same, of an endpoint that takes no update.
    """

    UNCHANGED = "unchanged"
    FIRST = "first"
    EXPERIMENT = "experiment"
    BLUE_GREEN = "blue_green"
    REPLACEMENT = "replacement"
    WITHDRAWAL = "withdrawal"
    REBUILD = "rebuild"


_OWN_FIELDS = ("champion", "challenger", "reason", "policy", "approval", "replace", "withdraw")
_STEP_FUNCTIONS_FIELD = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"


@dataclass(frozen=True)
class RolloutInput:
    """The state machine's input; ``release`` is None when a rollout shall be withdrawn, ``replace`` that no experiment is wanted.

    ``policy`` and ``approval`` are None where the settings' are wanted.
    """

    release: Release | None
    reason: str
    replace: bool = False
    policy: RolloutPolicy | None = None
    approval: Approval | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> RolloutInput:
        """Raises InvalidRollout naming the field; unknown fields are refused, but for Step Functions' own."""
        unknown = sorted(set(raw) - {*_OWN_FIELDS, _STEP_FUNCTIONS_FIELD})
        if unknown:
            raise InvalidRollout(f"input field {unknown[0]!r} is unknown: known are {', '.join(_OWN_FIELDS)}")
        for field in ("replace", "withdraw"):
            if raw.get(field, True) is not True:
                raise InvalidRollout(f"input.{field} {raw[field]!r} must be true, or be left out")
        reason = str(raw.get("reason") or "started by hand")
        if "withdraw" in raw:
            others = [field for field in ("champion", "challenger", "policy", "approval", "replace") if field in raw]
            if others:
                raise InvalidRollout(f"input.{others[0]} is not allowed beside withdraw: what serves as champion goes on alone")
            return cls(None, reason)
        replace = "replace" in raw
        others = [field for field in ("policy", "approval") if replace and field in raw]
        if others:
            raise InvalidRollout(f"input.{others[0]} is not allowed beside replace: the champion is released without a comparison")
        release = _release({"challenger": raw.get("champion"), **raw} if replace else raw, replace=replace)
        return cls(release, reason, replace, _word(raw, "policy", RolloutPolicy), _word(raw, "approval", Approval))


def _word(raw: Mapping[str, Any], field: str, kind: type[Word]) -> Word | None:
    if field not in raw:
        return None
    try:
        return kind(raw[field])
    except ValueError:
        raise InvalidRollout(f"input.{field} {raw[field]!r} must be one of {', '.join(kind)}, or be left out") from None


def _release(raw: Mapping[str, Any], *, replace: bool) -> Release:
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
    if replace and release.has_challenger:
        raise InvalidRollout(f"input.challenger {release.challenger} is not allowed beside replace: the champion is released alone")
    return release


@dataclass(frozen=True)
class RolloutPlan:
    """``target`` is put in place first; ``promoted`` follows when the challenger wins, ``withdrawn`` when it does not.

    With blue/green the target is the promoted release itself. A withdrawal has only ``withdrawn``, and a rebuild ``withdrawn`` before
    ``target``. ``why`` is the reason of either.
    """

    kind: Kind
    target: Release
    promoted: Release
    withdrawn: Release
    why: str = ""

    def as_json(self) -> dict[str, str]:
        records = {name: getattr(self, name).format() for name in ("target", "promoted", "withdrawn")}
        return {"kind": self.kind.value, **records, "why": self.why}


def plan(
    wanted: Release,
    current: Release,
    statuses: Mapping[str, str],
    *,
    policy: RolloutPolicy = RolloutPolicy.CANARY,
    replace: bool = False,
) -> RolloutPlan:
    """Which records a rollout writes when it begins, when the challenger wins and when it does not.

    ``UNCHANGED`` is the record's word alone: ``in_place.py`` compares the endpoint with it.

    Args:
        current: the release record as it is.
        statuses: ``ModelApprovalStatus`` of the wanted packages.
        replace: release the champion alone in place of the running one, without comparing the two.

    Raises:
        InvalidRollout: a package is not approved, or the wanted champion is not the running one.
    """
    for field, package in (("champion", wanted.champion), ("challenger", wanted.challenger)):
        if statuses[package] != APPROVED:
            raise InvalidRollout(
                f"input.{field} {package} is {statuses[package]}, not {APPROVED}: approve the model package, then start again"
            )
    if not current.exists:
        return RolloutPlan(Kind.FIRST, wanted, wanted, current)
    if wanted == current and not wanted.has_challenger:
        return RolloutPlan(Kind.UNCHANGED, wanted, wanted, wanted)
    if replace:
        return RolloutPlan(Kind.REPLACEMENT, wanted, wanted, current.without_challenger())
    if policy is RolloutPolicy.BLUE_GREEN and wanted.has_challenger and wanted.promoted() == current:
        return RolloutPlan(Kind.BLUE_GREEN, current, current, wanted.without_challenger())  # a stopped promotion goes on, and is watched
    if wanted.champion != current.champion:
        raise InvalidRollout(
            f"input.champion {wanted.champion} is not the running champion {current.champion}: release a new model as challenger of the "
            'running champion, or at once and without comparing them: {"champion": ..., "replace": true}'
        )
    if not wanted.has_challenger:
        raise InvalidRollout(
            f"input.challenger {wanted.challenger} is the running champion itself: give the model package that shall challenge it; "
            'or, to take a stopped rollout back, give {"withdraw": true}'
        )
    if policy is RolloutPolicy.BLUE_GREEN:
        return RolloutPlan(Kind.BLUE_GREEN, wanted.promoted(), wanted.promoted(), wanted.without_challenger())
    return RolloutPlan(Kind.EXPERIMENT, wanted, wanted.promoted(), wanted.without_challenger())


def judged(policy: RolloutPolicy, *, asks_people: bool) -> None:
    """Raises InvalidRollout for a policy of the input that could never come to a verdict."""
    if policy is not RolloutPolicy.BLUE_GREEN and not asks_people:
        raise InvalidRollout(
            f"input.policy {policy} lets people judge the texts that the two variants answer differently, and review.backend 'none' of "
            f"this stage asks nobody: give {RolloutPolicy.BLUE_GREEN}"
        )


def comparable(wanted: Release, versions: Mapping[str, str | None]) -> None:
    """Raises InvalidRollout for a package whose answers could never be told from those of another model, so that no pair would count.

    Args:
        versions: ``training_job`` in the metadata of each wanted package; a model's answers carry it as ``model_version``.
    """
    for field, package in (("champion", wanted.champion), ("challenger", wanted.challenger)):
        if not versions[package]:
            raise InvalidRollout(
                f"input.{field} {package} names no training job, by which the answers of the two variants are told apart: register the "
                "package with CustomerMetadataProperties.training_job, the model_version that its container answers with; or give "
                f"policy {RolloutPolicy.BLUE_GREEN}, which compares nothing"
            )


def missing(package: str, current: Release) -> str:
    """What is told of a package that does not exist."""
    told = f"model package {package} does not exist in this account and region"
    if package == current.champion:
        return f'{told}, although it is the champion: release another one in its place, {{"champion": "<ARN>", "replace": true}}'
    return f"{told}: list the group's packages"


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
