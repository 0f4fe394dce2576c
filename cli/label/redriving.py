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
    execution: Annotated[str | None, typer.Argument(help="Name of the execution, its ARN, or how the name begins (newest)")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking; for pipelines")] = False,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Let a failed labelling by Ground Truth go on from the step that failed. Remove the cause first."""
    settings = settings_of(stage)
    with errors_as_sentences():
        if not settings.labeling.enabled or settings.labeling.backend != "ground_truth":
            raise Refused(f"stage {stage} does not label by Ground Truth, so nothing can be redriven: `label FILE` again goes on")
        machine = Machine(Account(settings, profile), "labeling")
        machine.require()
        newest = next(machine.listed(most=1), None)
        found = machine.find(execution or (newest.name if newest else None))
        why = failed_for_good(machine.events(found.arn))
        if why is not None:
            raise Refused(f"{found.name} would fail again, because it has ended as it is meant to: {why}. `label FILE` again goes on")
        confirm(f"{found.name} goes on. It {found.status.lower().replace('_', ' ')}: {why_of(machine.describe(found.arn))}", yes=yes)
        machine.redrive(found)
    if as_json:
        print_json({"id": found.name, "arn": found.arn})
        return
    print(f"labelling {found.name} goes on: `label FILE` again follows it and writes what people said")


def failed_for_good(events: Iterable[Mapping[str, Any]]) -> str | None:
    """Why a redrive would end at once: the step that failed is a state that can do nothing else. None: it can go on.

    A redriven execution continues from the unsuccessful step (Step Functions developer guide, "Restarting state machine executions with
    redrive").
    """
    *_, before, last = [{"type": ""}, {"type": ""}, *events]
    if before["type"] != "FailStateEntered" or last["type"] not in ENDS:
        return None
    return why_of(last[ENDS[str(last["type"])][1]])


def why_of(details: Mapping[str, Any]) -> str:
    """The cause in words, else the error, of DescribeExecution or of an execution's last event."""
    return message_of(str(details.get("cause") or "")) or str(details.get("error") or "no cause is given")
