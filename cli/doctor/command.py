"""The command ``doctor``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.account import Account, NoAccount
from cli.assembly import read_templates
from cli.console import (
    FAILED,
    NO_ACCOUNT,
    WRONG_OPTIONS,
    AsJson,
    Profile,
    Stage,
    print_json,
    settings_file,
    settings_of,
    show,
    stop,
    summary,
)
from cli.doctor.checks import CHECKS
from cli.doctor.examination import Check, Examination, run_checks
from cli.findings import Finding, has_failure, report
from stacks.synthesis import SynthesisFailed, synthesise

_NAMES = ", ".join(check.name for check in CHECKS)


def doctor(  # noqa: PLR0917  (typer passes every option by its name)
    stage: Stage = "dev",
    only: Annotated[list[str] | None, typer.Option(help=f"Only this check; may be given again. One of: {_NAMES}")] = None,
    assembly: Annotated[Path | None, typer.Option(help="A folder that `make synth` wrote (default: synthesised anew)")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also show each thing that is well")] = False,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Look at an account before the first deploy (or after it): every call only reads.

    Says for each thing that would be refused what it is, how to cure it, and which line of the settings avoids it.
    """
    settings = settings_of(stage)
    wanted = [check for check in CHECKS if not only or check.name in only]
    unknown = sorted(set(only or ()) - {check.name for check in CHECKS})
    if unknown:
        stop(f"--only {unknown[0]}: no such check; allowed are {_NAMES}", WRONG_OPTIONS)
    account = Account(settings, profile)
    console = Console(stderr=as_json)
    with console.status("asking AWS who calls") as status, tempfile.TemporaryDirectory(prefix="reviewloop-") as scratch:
        try:
            identity = account.identity
            if assembly is None:
                status.update("synthesising the stacks")
                assembly = Path(scratch) / "cdk.out"
                synthesise(assembly, stage=stage, settings=settings_file(stage))
            templates = read_templates(assembly, _pseudo(account))
        except NoAccount as error:
            stop(str(error), NO_ACCOUNT)
        except (SynthesisFailed, FileNotFoundError) as error:
            stop(f"the stacks cannot be synthesised: {error}", WRONG_OPTIONS)

        def began(check: Check) -> None:
            status.update(f"{check.title} ({wanted.index(check) + 1} of {len(wanted)})")

        findings: list[Finding] = list(run_checks(Examination(account, settings, templates), wanted, began))
    if as_json:
        print_json(report(findings, stage=settings.stage, account=identity["Account"], region=settings.region))
    else:
        show(findings, console, everything=everything)
        console.print(f"\n{summary(findings)}", highlight=False)
    if has_failure(findings):
        raise typer.Exit(FAILED)


def _pseudo(account: Account) -> dict[str, str]:
    suffix = "amazonaws.com.cn" if account.partition == "aws-cn" else "amazonaws.com"
    return {
        "AWS::AccountId": account.id,
        "AWS::Partition": account.partition,
        "AWS::Region": account.settings.region,
        "AWS::URLSuffix": suffix,
        "AWS::StackName": account.names.prefix,
        "AWS::StackId": account.names.arn("cloudformation", f"stack/{account.names.prefix}/example"),
    }
