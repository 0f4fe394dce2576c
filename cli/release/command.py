"""The commands ``release start``, ``status``, ``watch``, ``pause``, ``resume``, ``approve``, ``abort``, ``promote`` and the rest."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from botocore.exceptions import ClientError
from rich.console import Console

from cli.account import Account
from cli.console import ROOT, AsJson, NotDone, Profile, Refused, Stage, confirm, errors_as_sentences, print_json, settings_of
from cli.executions import Execution, Machine
from cli.release import control, page, requests, view
from cli.release.following import Follower
from cli.release.history import Rollout
from lambdas.common.release import Release
from lambdas.rollout.progress import Approval, RolloutPolicy

Package = Annotated[str, typer.Argument(help="ARN of an approved model package, or its version in the stage's group, such as 7")]
Id = Annotated[str | None, typer.Argument(help="Name of the rollout's execution, its ARN, or how the name begins")]
Reason = Annotated[str | None, typer.Option(help="Why; it stands in the rollout's record (default: who called)")]
Watch = Annotated[bool, typer.Option("--watch", help="Follow it to its end; its outcome is the exit code")]
Every = Annotated[float, typer.Option(min=0.1, max=600, help="Seconds between two readings")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking; for pipelines")]
PAGES = ROOT / "out" / "rollout"
"""Where the pages of rollouts are written, ``<id>.html``."""
_MOST_REFUSED = 10
"""So far back `release promote` looks for a rollout that was stopped while it promoted the same package."""
_NO_PAGE = "the page cannot be written"
_LINES = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else there")]


def start(  # noqa: PLR0917  (typer passes every option by its name)
    package: Package,
    policy: Annotated[RolloutPolicy | None, typer.Option(help="How it meets callers (default: rollout.policy)")] = None,
    approval: Annotated[Approval | None, typer.Option(help="Who promotes it (default: rollout.approval)")] = None,
    champion: Annotated[str | None, typer.Option(help="The running champion; with another one nothing is started")] = None,
    reason: Reason = None,
    watch: Watch = False,
    every: Every = 5.0,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Roll a model package out: as challenger of the running champion, or as the first release."""
    with errors_as_sentences():
        account, machine = _machine(stage, profile)
        requests.none_runs(machine.running())
        why = reason or f"started by {account.caller}"
        content = requests.start_input(account, package, champion, requests.Wish(policy, approval), why)
        execution = machine.start(content, requests.new_name(content["challenger"]))
        _started(execution, Follower(machine, every, as_json), watch=watch)


def promote(  # noqa: PLR0917  (typer passes every option by its name)
    package: Annotated[
        str | None, typer.Argument(help="ARN or version of an approved model package; left out: the challenger of the rollout that runs")
    ] = None,
    reason: Reason = None,
    yes: Yes = False,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Follow it to its end")] = True,
    every: Every = 5.0,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: _LINES = False,
) -> None:
    """Put a model package in the champion's place at once, without comparing the two. The fleet's canary and its alarms still guard it.

    A rollout of the same package that runs is stopped first, unless it is promoting the package already.
    """
    with errors_as_sentences():
        account, machine = _machine(stage, profile)
        running = machine.running()
        challenger = _read(machine, running[0]).challenger if running else None
        if package is None and challenger is None:
            raise Refused("no rollout runs whose challenger could be promoted: name the PACKAGE")
        wanted = requests.package_arn(account, package or str(challenger))
        if wanted != challenger:
            requests.none_runs(running)
        requests.none_promotes(account, wanted, running)
        content = requests.promote_input(account, wanted, reason or f"promoted by {account.caller}", stopped=_newest_begun(machine))
        stopped = f"Rollout {running[0].name} is stopped. " if running else ""
        before = content["champion"] if "challenger" in content else requests.current_release(account).champion
        confirm(f"{stopped}{wanted} answers all callers, without a comparison with {before}.", yes=yes)
        for execution in running:
            machine.stop(execution, content["reason"])
        made = machine.start(content, requests.new_name(wanted))
        _started(made, Follower(machine, every, as_json), watch=watch)


def watch(  # noqa: PLR0917  (typer passes every option by its name)
    rollout: Id = None,
    every: Every = 5.0,
    html: Annotated[Path | None, typer.Option(help="Also write the rollout's page, once it has ended")] = None,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: _LINES = False,
) -> None:
    """Follow a rollout to its end, by default the one that runs, else the newest. Its outcome is the exit code."""
    with errors_as_sentences():
        _, machine = _machine(stage, profile)
        _end(Follower(machine, every, as_json).to_the_end(machine.find(rollout)), html)


def status(stage: Stage = "dev", profile: Profile = None, as_json: AsJson = False) -> None:
    """Show what serves, with its live weights, and the rollout that runs, else the newest one."""
    with errors_as_sentences():
        account, machine = _machine(stage, profile)
        release = requests.current_release(account)
        newest = [*machine.running()[:1], *machine.listed(most=1)][:1]
        rollout = _read(machine, newest[0]) if newest else None
        variants = _variants(account)
        told = control.told(account, newest[0]) if rollout and rollout.runs else None
    if as_json:
        print_json(
            {
                "released": {"champion": release.champion, "challenger": release.challenger} if release.exists else None,
                **variants,
                "rollout": view.document(rollout) if rollout else None,
                "control": asdict(told) if told else None,
            }
        )
        return
    console = Console()
    for sentence in _serving(release, variants):
        console.print(sentence, highlight=False, soft_wrap=True, markup=False)
    console.print(view.live(rollout, datetime.now(UTC)) if rollout else "no rollout yet", highlight=False)
    said = () if told is None else (("paused", told.paused, told.pauser), ("approved", told.approved, told.approver))
    for word, so, by in said:
        if so:
            console.print(f"{word} by {by}", highlight=False, soft_wrap=True, markup=False)


def pause(reason: Reason = None, stage: Stage = "dev", profile: Profile = None, as_json: AsJson = False) -> None:
    """Let the rollout that runs keep its weights and decide nothing. Alarms and failures still roll it back, and its time goes on."""
    _tell(stage, profile, reason, as_json=as_json, paused=True)


def resume(reason: Reason = None, stage: Stage = "dev", profile: Profile = None, as_json: AsJson = False) -> None:
    """Let a paused rollout go on."""
    _tell(stage, profile, reason, as_json=as_json, paused=False)


def approve(reason: Reason = None, stage: Stage = "dev", profile: Profile = None, as_json: AsJson = False) -> None:
    """Agree to the promotion of the rollout that runs with approval `manual`. It promotes as soon as the evidence allows it."""
    _tell(stage, profile, reason, as_json=as_json, approved=True)


def abort(  # noqa: PLR0917  (typer passes every option by its name)
    reason: Reason = None,
    yes: Yes = False,
    every: Every = 5.0,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: _LINES = False,
) -> None:
    """Stop the rollout that runs and take it back: what serves as champion goes on alone. Right wherever a rollout was stopped before."""
    with errors_as_sentences():
        account, machine = _machine(stage, profile)
        running = machine.running()
        what = f"Rollout {', '.join(one.name for one in running)} is stopped" if running else "No rollout runs"
        confirm(f"{what}. What serves as champion goes on alone, and a challenger is taken back.", yes=yes)
        why = reason or f"aborted by {account.caller}"
        for execution in running:
            machine.stop(execution, why)
        made = machine.start({"withdraw": True, "reason": why}, requests.new_name("withdraw"))
        ended = Follower(machine, every, as_json).to_the_end(made)
        if ended.outcome not in ("withdrawn", "released"):
            raise NotDone(f"the withdrawal {ended.id} ended as {view.words(ended.outcome)}: {ended.why}")


def history(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many of the newest rollouts")] = 20,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List the newest rollouts with their outcome and its reason."""
    with errors_as_sentences():
        _, machine = _machine(stage, profile)
        found = [_summary(machine, one) for one in machine.listed(most=limit)]
    if as_json:
        print_json([_short_document(one) for one in found])
        return
    for line in view.history_lines([view.history_row(one) for one in found]) if found else ("no rollout yet",):
        print(line)


def explain(
    rollout: Id = None,
    html: Annotated[Path | None, typer.Option(help="The page's file (default: out/rollout/<id>.html)")] = None,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Say what a rollout decided and why, by its execution's history alone, and write the same as a page."""
    with errors_as_sentences():
        _, machine = _machine(stage, profile)
        found = _read(machine, machine.find(rollout))
        try:
            path = _write_page(found, html)
        except OSError as error:
            raise NotDone(f"{_NO_PAGE} ({error}): choose another file with --html") from None
    if as_json:
        print_json({**view.document(found), "page": str(path)})
        return
    console = Console()
    console.print(view.explained(found), highlight=False)
    console.print(f"\npage: {path}", highlight=False, soft_wrap=True, markup=False)


def redrive(  # noqa: PLR0917  (typer passes every option by its name)
    rollout: Id = None,
    yes: Yes = False,
    watch: Watch = False,
    every: Every = 5.0,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Let a failed rollout go on from the step that failed, by default the newest one. Remove the cause first."""
    with errors_as_sentences():
        _, machine = _machine(stage, profile)
        newest = next(machine.listed(most=1), None)
        execution = machine.find(rollout or (newest.name if newest else None))
        requests.none_runs(machine.running())
        if newest is not None and newest.arn != execution.arn:
            raise Refused(
                f"{newest.name} is newer than {execution.name}, which would release the older model now: start a rollout of the model "
                "that you want, `release start PACKAGE`"
            )
        confirm(f"{execution.name} goes on. It failed: {_read(machine, execution).why}", yes=yes)
        machine.redrive(execution)
        _started(execution, Follower(machine, every, as_json), watch=watch)


# -- what they share -------------------------------------------------------------------------------


def _tell(
    stage: str, profile: str | None, reason: str | None, *, as_json: bool, paused: bool | None = None, approved: bool | None = None
) -> None:
    """Write the control record of the rollout that runs, and say what follows."""
    with errors_as_sentences():
        account, machine = _machine(stage, profile)
        running = machine.running()
        if not running:
            raise Refused("no rollout runs: `release history` lists those that ended, `release start PACKAGE` starts one")
        rollout = _read(machine, running[0])
        if approved and rollout.approval == Approval.AUTOMATIC:
            raise Refused(f"rollout {rollout.id} has approval {Approval.AUTOMATIC}: it needs nobody's, and is promoted by its evidence")
        by = f"{account.caller}: {reason}" if reason else account.caller
        record = control.tell(account, running[0], by=by, paused=paused, approved=approved)
    if as_json:
        print_json(asdict(record))
        return
    done = "approved" if approved else "paused" if paused else "told to go on"
    print(f"rollout {record.rollout} is {done} by {record.by}; it hears so at its next look")


def _machine(stage: str, profile: str | None) -> tuple[Account, Machine]:
    account = Account(settings_of(stage), profile)
    return account, requests.machine_of(account)


def _read(machine: Machine, execution: Execution) -> Rollout:
    return Rollout.read(execution.name, machine.events(execution.arn))


def _summary(machine: Machine, execution: Execution) -> Rollout:
    """A rollout without its history: what was asked and how it ended, from one call."""
    return Rollout.read(execution.name, machine.summary(execution))


def _newest_begun(machine: Machine) -> Rollout | None:
    """The newest rollout that ended and was not refused at its first step."""
    for execution in machine.listed(most=_MOST_REFUSED):
        if _summary(machine, execution).outcome not in ("running", "refused"):
            return _read(machine, execution)
    return None


def _short_document(rollout: Rollout) -> dict[str, Any]:
    found = view.document(rollout)
    kept = ("id", "outcome", "reason", "exit_code", "champion", "challenger", "asked", "started", "ended")
    return {key: found[key] for key in kept}


def _started(execution: Execution, follower: Follower, *, watch: bool) -> None:
    """Say what was started, or follow it to its end."""
    if watch:
        if not follower.as_json:
            print(f"rollout {execution.name}", flush=True)
        _end(follower.to_the_end(execution))
    if follower.as_json:
        print_json({"id": execution.name, "arn": execution.arn})
        return
    print(f"rollout {execution.name} runs: `release watch {execution.name}` follows it")


def _end(rollout: Rollout, html: Path | None = None) -> NoReturn:
    """The outcome is the exit code, also where the page cannot be written."""
    if html is not None:
        try:
            _write_page(rollout, html)
        except OSError as error:
            print(f"{_NO_PAGE} ({error}): `release explain {rollout.id} --html FILE` writes it", file=sys.stderr)
    raise typer.Exit(rollout.exit_code)


def _write_page(rollout: Rollout, path: Path | None) -> Path:
    path = path or PAGES / f"{rollout.id}.html"
    page.write(rollout, path)
    return path


def _variants(account: Account) -> dict[str, Any]:
    """The endpoint's status and the live share of each variant; nulls before there is an endpoint."""
    try:
        endpoint = account.client("sagemaker").describe_endpoint(EndpointName=account.names.endpoint)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        return {"endpoint": None, "weights": None}
    weights = {one["VariantName"]: float(one["CurrentWeight"]) for one in endpoint.get("ProductionVariants", ())}
    total = sum(weights.values()) or 1.0
    return {"endpoint": endpoint["EndpointStatus"], "weights": {name: round(weight / total, 6) for name, weight in weights.items()}}


def _serving(release: Release, variants: dict[str, Any]) -> list[str]:
    if not release.exists:
        return ["nothing is released yet: `release start PACKAGE`"]
    weights = variants["weights"] or {}
    return [
        f"endpoint    {variants['endpoint'] or 'none'}",
        f"champion    {view.short(release.champion)}  {view.percent(weights.get('champion'), 0)} of the traffic",
        f"challenger  {view.short(release.challenger) if release.has_challenger else 'none'}  "
        f"{view.percent(weights.get('challenger'), 0)} of the traffic",
    ]
