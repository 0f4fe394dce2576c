"""The command ``label redrive``: an execution of Ground Truth's labelling that failed goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from cli.account import Account
from cli.console import AsJson, Profile, Refused, Stage, confirm, errors_as_sentences, print_json, settings_of
from cli.execution_history import ENDS, message_of
from cli.executions import Machine


def redrive(
    execution: Annotated[str | None, typer.Argument(help="Its name, its ARN, or the beginning of its name (default: the newest)")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking; for pipelines")] = False,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Redrive an execution of Ground Truth's labelling that failed: it goes on from the step that failed. Remove the cause first."""
    settings = settings_of(stage)
    with errors_as_sentences():
        if not settings.labeling.enabled or settings.labeling.backend != "ground_truth":
            raise Refused(f"stage {stage} does not use Ground Truth, so there is nothing to redrive: to go on, run `label FILE` again")
        machine = Machine(Account(settings, profile), "labeling")
        machine.require()
        newest = next(machine.listed(most=1), None)
        found = machine.find(execution or (newest.name if newest else None))
        why = failed_for_good(machine.events(found.arn))
        if why is not None:
            raise Refused(
                f"{found.name} ended in a state Fail, so it would fail again at once. Its cause: {why}. To go on, remove the cause and run "
                "`label FILE` again"
            )
        confirm(f"{found.name} goes on. It {found.status.lower().replace('_', ' ')}: {why_of(machine.describe(found.arn))}", yes=yes)
        machine.redrive(found)
    if as_json:
        print_json({"id": found.name, "arn": found.arn})
        return
    print(f"labelling {found.name} goes on. To follow it and to get its labels, run `label FILE` again")


def failed_for_good(events: Iterable[Mapping[str, Any]]) -> str | None:
    """The cause, where the execution ended in a state Fail; None where a redrive can go on.

    A redriven execution continues from the unsuccessful step (Step Functions developer guide, "Restarting state machine executions with
    redrive"). That would be the state Fail, so it would end at once.
    """
    *_, before, last = [{"type": ""}, {"type": ""}, *events]
    if before["type"] != "FailStateEntered" or last["type"] not in ENDS:
        return None
    return why_of(last[ENDS[str(last["type"])][1]])


def why_of(details: Mapping[str, Any]) -> str:
    """The cause in words, else the error, of DescribeExecution or of an execution's last event."""
    return message_of(str(details.get("cause") or "")) or str(details.get("error") or "no cause is given")
