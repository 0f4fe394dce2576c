"""What people tell a rollout that runs: to pause, to go on, that they approve. It hears it at its next look.

The record is one SSM parameter (``lambdas/common/rollout_control.py``); only its own rollout reads it. SSM has no write on a condition, but
it counts the versions. So a write that has overwritten another person's is noticed, and what that person said is written again. A look
between the two writes hears the second person alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cli.account import Account
from cli.console import NotDone, Refused, deploy_first
from cli.executions import Execution
from lambdas.common.rollout_control import RolloutControl

_PARAMETER = "rollout-control"
_MOST_WRITES = 5


def told(account: Account, rollout: Execution) -> RolloutControl:
    """What the rollout was told so far.

    Raises:
        Refused: there is no record.
    """
    return _newest(account, rollout)[1]


def tell(account: Account, rollout: Execution, *, by: str, paused: bool | None = None, approved: bool | None = None) -> RolloutControl:
    """The rollout is told what is given; the rest stays as it was told before, also by somebody who speaks at the same moment.

    Raises:
        NotDone: the record changes again and again.
        Refused: there is no record.
    """
    ssm, name = account.client("ssm"), account.names.parameter(_PARAMETER)
    last, before = _newest(account, rollout)
    wanted, others = _said(before, by, paused, approved), list[RolloutControl]()
    for _ in range(_MOST_WRITES):
        written = int(ssm.put_parameter(Name=name, Value=wanted.format(), Overwrite=True)["Version"])
        others += _between(account, rollout, last, written)
        merged = _said(_changed(before, others), by, paused, approved)
        if merged == wanted:
            return wanted
        wanted, last = merged, written
    raise _undecided()


def _undecided() -> NotDone:
    return NotDone("others tell this rollout something at the same moment: look at `release status`, then say it again")


def _newest(account: Account, rollout: Execution) -> tuple[int, RolloutControl]:
    """The record, with its version. One that cannot be read is written anew: the rollout understands only that it shall pause."""
    ssm, name = account.client("ssm"), account.names.parameter(_PARAMETER)
    try:
        found = ssm.get_parameter(Name=name)["Parameter"]
    except ssm.exceptions.ParameterNotFound:
        raise Refused(f"the parameter {name} does not exist: {deploy_first(account.settings.stage)}") from None
    return int(found["Version"]), RolloutControl.of(rollout.name, found["Value"])


def _between(account: Account, rollout: Execution, last: int, written: int) -> list[RolloutControl]:
    """What others wrote after version ``last`` and before version ``written``, in their order.

    Raises:
        NotDone: the history does not tell it.
    """
    if written == last + 1:
        return []
    pages = account.client("ssm").get_paginator("get_parameter_history").paginate(Name=account.names.parameter(_PARAMETER))
    versions = {int(one["Version"]): str(one["Value"]) for page in pages for one in page["Parameters"]}
    missed = range(last + 1, written)
    if not versions.keys() >= set(missed):
        raise _undecided()
    return [RolloutControl.of(rollout.name, versions[version]) for version in missed]


def _said(before: RolloutControl, by: str, paused: bool | None, approved: bool | None) -> RolloutControl:
    return replace(
        before,
        paused=before.paused if paused is None else paused,
        approved=before.approved if approved is None else approved,
        by=by,
        paused_by=_by(before.paused, before.pauser, paused, by),
        approved_by=_by(before.approved, before.approver, approved, by),
    )


def _by(was: bool, before: str, wanted: bool | None, by: str) -> str:
    """Who said so; nobody where it is not said any more."""
    if wanted is None:
        return before if was else ""
    return by if wanted else ""


def _changed(before: RolloutControl, others: Sequence[RolloutControl]) -> RolloutControl:
    """``before``, with each word as the last of the others said it who changed it."""
    found = before
    for other in others:
        if _pause(other) != _pause(before):
            found = replace(found, paused=other.paused, paused_by=_pause(other)[1])
        if _approval(other) != _approval(before):
            found = replace(found, approved=other.approved, approved_by=_approval(other)[1])
    return found


def _pause(control: RolloutControl) -> tuple[bool, str]:
    return control.paused, control.pauser if control.paused else ""


def _approval(control: RolloutControl) -> tuple[bool, str]:
    return control.approved, control.approver if control.approved else ""
