"""What people tell a rollout that runs: to pause, to go on, that they approve. It hears it at its next look.

The record is one SSM parameter (``lambdas/common/rollout_control.py``); only its own rollout reads it.
"""

from __future__ import annotations

from dataclasses import replace

from cli.account import Account
from cli.console import Refused
from cli.executions import Execution
from lambdas.common.rollout_control import NONE, RolloutControl

_PARAMETER = "rollout-control"


def told(account: Account, rollout: Execution) -> RolloutControl:
    """What the rollout was told so far.

    Raises:
        Refused: there is no record.
    """
    record = account.parameter(_PARAMETER)
    if record is None:
        raise Refused(f"the parameter {account.names.parameter(_PARAMETER)} does not exist: run `npx cdk deploy --all` first")
    # A record that cannot be read is written anew: of it the rollout understands only that it shall pause.
    return RolloutControl.of(rollout.name, record) if record != NONE else RolloutControl(rollout.name)


def _by(was: bool, before: str, wanted: bool | None, by: str) -> str:
    """Who said so; nobody where it is not said any more."""
    if wanted is None:
        return before if was else ""
    return by if wanted else ""


def tell(account: Account, rollout: Execution, *, by: str, paused: bool | None = None, approved: bool | None = None) -> RolloutControl:
    """The rollout is told what is given; the rest stays as it was told before."""
    before = told(account, rollout)
    wanted = replace(
        before,
        paused=before.paused if paused is None else paused,
        approved=before.approved if approved is None else approved,
        by=by,
        paused_by=_by(before.paused, before.pauser, paused, by),
        approved_by=_by(before.approved, before.approver, approved, by),
    )
    name = account.names.parameter(_PARAMETER)
    account.client("ssm").put_parameter(Name=name, Value=wanted.format(), Overwrite=True)
    return wanted
