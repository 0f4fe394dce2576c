"""What may be asked of the state machine ``rollout``, checked before anything starts. Every refusal says what to do.

The machine checks the same again (``lambdas/rollout/plan_rollout``): here it is said earlier, and in words of the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from cli.account import Account
from cli.console import Refused, deploy_first
from cli.executions import Execution, Machine
from cli.release.history import Rollout
from lambdas.common.release import EMPTY_RELEASE, InvalidRelease, Release
from lambdas.rollout.plan_rollout.plan import APPROVED, InvalidRollout, plan
from lambdas.rollout.progress import Approval, RolloutPolicy

PART = "rollout"
_MISSING = ("ValidationException", "ResourceNotFound")


def machine_of(account: Account) -> Machine:
    """The stage's state machine ``rollout``.

    Raises:
        Refused: it is not deployed.
    """
    machine = Machine(account, PART)
    machine.require()
    return machine


def package_arn(account: Account, given: str) -> str:
    """The ARN of a package that is given as an ARN, or as its version in the stage's group.

    Raises:
        Refused: it is neither.
    """
    names = account.names
    arn = names.arn("sagemaker", f"model-package/{names.model_package_group}/{given}") if given.isdecimal() else given
    release = Release(arn, arn)
    try:
        release.check()
    except InvalidRelease:
        release = EMPTY_RELEASE
    if not release.exists:
        raise Refused(f"PACKAGE {given!r}: give the ARN of a model package, or its version in the group {names.model_package_group}")
    return arn


def current_release(account: Account) -> Release:
    """Raises Refused: there is no release record, or it cannot be read."""
    name = account.names.parameter("release")
    record = account.parameter("release")
    if record is None:
        raise Refused(f"the parameter {name} does not exist: {deploy_first(account.settings.stage)}")
    try:
        return Release.parse(record)
    except InvalidRelease as error:
        raise Refused(f"the parameter {name} cannot be read: {error}") from None


def none_runs(running: Sequence[Execution]) -> None:
    """Raises Refused: a rollout runs already."""
    if running:
        first = running[0]
        raise Refused(
            f"rollout {first.name} runs since {first.started:%Y-%m-%d %H:%M}: `release watch` follows it, `release abort` ends it"
        )


def none_promotes(account: Account, arn: str, running: Sequence[Execution]) -> None:
    """Raises Refused: a rollout that runs has written its record with this package alone, so only its weights and instances are left."""
    if running and current_release(account) == Release(arn, arn):
        name = running[0].name
        raise Refused(f"rollout {name} is promoting it already: `release watch {name}` follows it, `release abort` ends it")


def approval_of(account: Account, arn: str, current: Release) -> str:
    """``ModelApprovalStatus`` of a package.

    Raises:
        Refused: there is no such package.
    """
    try:
        found: str = account.client("sagemaker").describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise
        said = f"model package {arn} does not exist in account {account.id}, {account.settings.region}"
        if arn == current.champion:
            raise Refused(f"{said}, although it is the champion: release another one in its place, `release promote PACKAGE`") from None
        group = account.names.model_package_group
        raise Refused(f"{said}: `aws sagemaker list-model-packages --model-package-group-name {group}` lists those that do") from None
    return found


def approved(arn: str, status: str) -> None:
    """Raises Refused: the package is not approved."""
    if status != APPROVED:
        command = f"aws sagemaker update-model-package --model-package-arn {arn} --model-approval-status {APPROVED}"
        raise Refused(f"model package {arn} is {status}, not {APPROVED}. If it shall serve, approve it: `{command}`")


@dataclass(frozen=True)
class Wish:
    """How a package shall be rolled out; None where the settings decide."""

    policy: RolloutPolicy | None = None
    approval: Approval | None = None

    def input(self) -> dict[str, str]:
        """The fields of the state machine's input."""
        return {key: str(value) for key, value in (("policy", self.policy), ("approval", self.approval)) if value is not None}


def start_input(account: Account, package: str, champion: str | None, wish: Wish, reason: str) -> dict[str, Any]:
    """The input of a rollout that compares ``package`` with the champion; of a first release where nothing serves yet.

    Raises:
        Refused: the state machine would refuse it.
    """
    current = current_release(account)
    arn = package_arn(account, package)
    if champion is not None:
        champion = package_arn(account, champion)
    if current.exists and champion not in (None, current.champion):
        raise Refused(
            f"--champion {champion} is not the running champion {current.champion}: leave --champion out to compare {arn} with the running "
            f"one, or release it at once, `release promote {champion}`"
        )
    wanted = Release(current.champion if current.exists else champion or arn, arn)
    if current.has_challenger and arn == current.champion:
        raise Refused(
            f"{arn} is the champion, and {current.challenger} of a stopped rollout still challenges it: `release abort` takes it back"
        )
    _checked(account, wanted, current, policy=wish.policy or RolloutPolicy(account.settings.rollout.policy))
    return {"champion": wanted.champion, "challenger": wanted.challenger, **wish.input(), "reason": reason}


def promote_input(account: Account, package: str, reason: str, *, stopped: Rollout | None = None) -> dict[str, Any]:
    """The input of a blue/green rollout, which nobody need approve any more.

    Where nothing serves yet, and where the champion's own package is deleted, the package replaces whatever serves.

    Args:
        stopped: the newest rollout that began anything. If it was stopped while it promoted this package, the record names the package
            alone already. Then the rollout goes on, and it can be taken back to the champion that served before.

    Raises:
        Refused: the state machine would refuse it.
    """
    arn, current = package_arn(account, package), current_release(account)
    champion = (_before(stopped, current) or arn) if current.champion == arn else current.champion
    if current.exists and champion != arn and _exists(account, champion):
        _checked(account, Release(champion, arn), current, policy=RolloutPolicy.BLUE_GREEN)
        wish = Wish(RolloutPolicy.BLUE_GREEN, Approval.AUTOMATIC)
        return {"champion": champion, "challenger": arn, **wish.input(), "reason": reason}
    _checked(account, Release(arn, arn), current, replace=True)
    return {"champion": arn, "replace": True, "reason": reason}


def _before(stopped: Rollout | None, current: Release) -> str | None:
    """The champion before a promotion that was stopped; None where this is not known."""
    if stopped is None or stopped.outcome not in ("stopped", "failed") or stopped.plan.get("promoted") != current.format():
        return None
    try:
        before = Release.parse(str(stopped.plan.get("withdrawn", "")))
    except InvalidRelease:
        return None
    return before.champion if before.exists else None


def _exists(account: Account, arn: str) -> bool:
    try:
        approval_of(account, arn, EMPTY_RELEASE)
    except Refused:
        return False
    return True


def _checked(
    account: Account, wanted: Release, current: Release, *, policy: RolloutPolicy = RolloutPolicy.BLUE_GREEN, replace: bool = False
) -> None:
    """Raises Refused: a package is not there or not approved, nobody can judge, or the state machine says why not."""
    statuses = {arn: approval_of(account, arn, current) for arn in dict.fromkeys((wanted.champion, wanted.challenger))}
    for arn, status in statuses.items():
        approved(arn, status)
    if policy is not RolloutPolicy.BLUE_GREEN and not account.settings.review.asks_people:
        raise Refused(
            f"policy {policy} lets people judge the texts that the two models answer differently, and stage {account.settings.stage} has "
            f"review.backend 'none': give --policy {RolloutPolicy.BLUE_GREEN}"
        )
    try:
        plan(wanted, current, statuses, policy=policy, replace=replace)
    except InvalidRollout as error:
        raise Refused(str(error)) from None


def new_name(package: str) -> str:
    """A name for an execution that releases this package: its version and the time, such as ``7-20260131-120000``."""
    return f"{package.rpartition('/')[2]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
