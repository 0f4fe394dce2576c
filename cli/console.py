"""How commands speak: tables for people, JSON for pipelines, errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from cli.account import NoAccount, credentials_fault
from cli.exit_codes import ExitCode
from cli.findings import Finding, Level, counts
from stacks.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parent.parent
FAILED, WRONG_OPTIONS, NO_ACCOUNT = ExitCode.FAILED, ExitCode.REFUSED, ExitCode.NO_ACCOUNT

Stage = Annotated[
    str,
    typer.Option(envvar="REVIEWLOOP_STAGE", help="The stage of settings/<stage>.yaml, or another settings file: out/demo/settings.yaml"),
]
Profile = Annotated[str | None, typer.Option(help="A profile of the AWS configuration (default: the ordinary AWS variables)")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, and nothing else there")]

_STYLES = {Level.OK: "green", Level.UNKNOWN: "yellow", Level.WARNING: "yellow", Level.FAILURE: "bold red"}
_MARKS = {Level.OK: "ok", Level.UNKNOWN: "??", Level.WARNING: "!!", Level.FAILURE: "NO"}


class Refused(Exception):
    """What was asked for is not done, and nothing was changed; the text says why, and what to do."""


class NotDone(Exception):
    """Nothing, or nothing more, was changed; the text says why, and what to do."""


def deploy_first(stage: str) -> str:
    """What to do where a part of a stage is missing."""
    return f"deploy the stage (`REVIEWLOOP_STAGE={stage} npx cdk deploy --all`), or name another --stage or --profile"


def not_deployed(stack: str, stage: str) -> str:
    """A stack is missing, or was not made to its end."""
    return f"the stack {stack} is not deployed, or not to its end: {deploy_first(stage)}"


def stop(message: str, code: int) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)


def agreed(question: str) -> bool:
    """Whether somebody answered yes; no where nobody can answer."""
    try:
        return typer.confirm(question, default=False, err=True)
    except typer.Abort:
        print(file=sys.stderr)  # the question has no line end yet
        return False


def confirm(what: str, *, yes: bool) -> None:
    """Say what will happen and ask, unless ``yes`` was given.

    Raises:
        Refused: nobody said yes.
    """
    if yes:
        return
    print(what, file=sys.stderr)
    if not agreed("Go on?"):
        raise Refused("nothing was changed: answer y, or give --yes")


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """A refusal, what AWS refuses, and an AWS out of reach end the command with a sentence and their exit code."""
    try:
        yield
    except NoAccount as error:
        stop(str(error), ExitCode.NO_ACCOUNT)
    except BotoCoreError as error:
        stop(f"AWS gave no answer ({error}): set credentials, and AWS_ENDPOINT_URL only for the embedded AWS", ExitCode.NO_ACCOUNT)
    except Refused as error:
        stop(str(error), ExitCode.REFUSED)
    except ClientError as error:
        stop_refused(error)
    except NotDone as error:
        stop(str(error), ExitCode.FAILED)


def stop_refused(error: ClientError) -> NoReturn:
    """End the command with what AWS refuses: its credentials (exit code 4), or the call (1)."""
    fault = credentials_fault(error)
    stop(fault or str(error), ExitCode.NO_ACCOUNT if fault else ExitCode.FAILED)


@contextmanager
def following(name: str, command: str) -> Iterator[None]:
    """Where the following of an execution ends early, say that the execution goes on, and by which ``command`` it is followed again.

    Raises:
        typer.Exit: somebody pressed Ctrl-C.
    """
    goes_on = f"{name} goes on: `{command} {name}` follows it again"
    try:
        yield
    except KeyboardInterrupt:
        print(f"\n{goes_on}", file=sys.stderr)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    except (BotoCoreError, ClientError):
        print(goes_on, file=sys.stderr)
        raise


def settings_of(stage: str) -> Settings:
    """The settings of a stage. Settings that cannot be used end the command with exit code 2."""
    try:
        return load_settings(settings_file(stage) or ROOT / "settings" / f"{stage}.yaml")
    except SettingsError as error:
        stop(str(error), WRONG_OPTIONS)


def settings_file(stage: str) -> Path | None:
    """The file, where ``--stage`` names one; None where it names a stage. A run of the demo has its own file beside its report."""
    return Path(stage) if stage.endswith(".yaml") else None


def print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, ensure_ascii=False))


def print_json_line(document: Any) -> None:
    """One line of JSON, written out at once."""
    print(json.dumps(document, ensure_ascii=False), flush=True)


def show(findings: Sequence[Finding], console: Console, *, everything: bool) -> None:
    """Print the findings under their checks. A check without problems gets one line, unless ``everything`` is wanted."""
    for check in dict.fromkeys(finding.check for finding in findings):
        of_check = [finding for finding in findings if finding.check == check]
        quiet = [finding for finding in of_check if finding.level is Level.OK]
        if len(quiet) == len(of_check) and len(quiet) > 1 and not everything:
            console.print(f"[green]ok[/]  {check}: {len(quiet)} looked at, nothing found", highlight=False)
            continue
        for finding in of_check:
            if finding.level is Level.OK and not everything and len(quiet) > 1:
                continue
            _show_one(finding, console)


def _show_one(finding: Finding, console: Console) -> None:
    style = _STYLES[finding.level]
    console.print(f"[{style}]{_MARKS[finding.level]}[/]  {finding.check}: {escape(finding.message)}", highlight=False, soft_wrap=True)
    if finding.cure:
        console.print(f"      {escape(finding.cure)}", highlight=False, soft_wrap=True)
    if finding.setting:
        console.print(f"      settings: [bold]{escape(finding.setting)}[/]", highlight=False, soft_wrap=True)


def summary(findings: Sequence[Finding]) -> str:
    """``12 ok, 1 failure``: only the levels that occur."""
    words = {level: number for level, number in counts(findings).items() if number}
    plural = ("failure", "warning")
    return ", ".join(f"{number} {level}{'s' if number > 1 and level in plural else ''}" for level, number in words.items())
