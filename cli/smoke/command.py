"""The command ``smoke``."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cli.account import Account, NoAccount
from cli.console import FAILED, NO_ACCOUNT, WRONG_OPTIONS, AsJson, Profile, Stage, agreed, not_deployed, print_json, settings_of, stop
from cli.costs import list_price
from cli.smoke.assumptions import proven
from cli.smoke.capture_leg import capture
from cli.smoke.cost import estimate
from cli.smoke.model_legs import endpoint, tuning
from cli.smoke.run import Leg, Outcome, Run, run_legs
from cli.smoke.traffic_legs import drift, prediction, review

LEGS = (
    Leg("tuning", "one training job, its evaluation and the gates", tuning),
    Leg("endpoint", "one instance with that model", endpoint),
    Leg("prediction", "a signed request to the API", prediction),
    Leg("capture", "captured data", capture),
    Leg("review", "a review, asked for and stopped", review),
    Leg("drift", "the drift check", drift),
)
NO_INSTANCES = "these legs start no instance"
_NAMES = ", ".join(leg.name for leg in LEGS)
_MARKS = {"passed": "[green]ok[/]", "failed": "[bold red]NO[/]", "skipped": "[yellow]--[/]"}


def smoke(  # noqa: PLR0917  (typer passes every option by its name)
    stage: Stage = "dev",
    only: Annotated[list[str] | None, typer.Option(help=f"Only this leg; may be given again. One of: {_NAMES}")] = None,
    minutes: Annotated[float, typer.Option(min=1, max=600, help="How long one step may wait for AWS")] = 45,
    yes: Annotated[bool, typer.Option("--yes", help="Start without asking; for pipelines")] = False,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Run the smallest real work through every leg of a deployed stage, and remove what it made.

    Before it starts, it says what the instances of the chosen legs can cost at list price; requests, storage and queries come on top.
    Afterwards it says which assumptions about AWS are now proven.
    """
    settings = settings_of(stage)
    unknown = sorted(set(only or ()) - {leg.name for leg in LEGS})
    if unknown:
        stop(f"--only {unknown[0]}: no such leg; allowed are {_NAMES}", WRONG_OPTIONS)
    legs = [leg for leg in LEGS if not only or leg.name in only]
    account, console = Account(settings, profile), Console(stderr=as_json)
    try:
        identity = account.identity
    except NoAccount as error:
        stop(str(error), NO_ACCOUNT)
    missing = [part for part in ("foundation", "tuning", "endpoint", "monitoring") if not account.stack(account.names.stack(part))]
    if missing:
        stop(not_deployed(account.names.stack(missing[0]), settings.stage), WRONG_OPTIONS)
    console.print(f"smoke of {account.names.prefix} in account {identity['Account']}, {settings.region}", highlight=False)
    price = list_price(account.session, settings.region)
    costs = [item.sentence() for item in estimate(settings, minutes, price, {leg.name for leg in legs})]
    for sentence in costs or [NO_INSTANCES]:
        console.print(f"  {sentence}", highlight=False)
    if not yes and not agreed("Start?"):
        stop("not started: answer y, or give --yes", WRONG_OPTIONS)
    outcomes, left = _run(Run(account, settings, secrets.token_hex(4), minutes, lambda _: None), legs, console)
    _tell(outcomes, left, console, as_json=as_json, context={"stage": stage, "account": identity["Account"], "cost": costs})
    if left or any(outcome.status == "failed" for outcome in outcomes):
        raise typer.Exit(FAILED)


def _run(run: Run, legs: list[Leg], console: Console) -> tuple[list[Outcome], list[str]]:
    """Run the legs, then remove what they made, even after an interruption."""

    def ended(outcome: Outcome) -> None:
        console.print(
            f"{_MARKS[outcome.status]}  {outcome.leg}: {escape(outcome.message)} ({outcome.seconds:g} s)", highlight=False, soft_wrap=True
        )

    outcomes: list[Outcome] = []
    with console.status("starting") as status:
        run.say = lambda text: status.update(escape(text))
        try:
            outcomes = run_legs(run, legs, ended)
        finally:
            left = run.clean_up()
            for sentence in left:
                console.print(f"[bold red]NO[/]  {escape(sentence)}", highlight=False, soft_wrap=True)
    return outcomes, left


def _tell(outcomes: list[Outcome], left: list[str], console: Console, *, as_json: bool, context: dict[str, Any]) -> None:
    now, still = proven(outcome.leg for outcome in outcomes if outcome.status == "passed")
    if as_json:
        print_json(
            {
                **context,
                "legs": [asdict(outcome) for outcome in outcomes],
                "left": left,
                "proven": [assumption.id for assumption in now],
                "open": [assumption.id for assumption in still],
            }
        )
        return
    for title, assumptions in (("Proven in this account", now), ("Still open", still)):
        console.print(f"\n{title}:" if assumptions else "", highlight=False)
        for assumption in assumptions:
            console.print(f"  {assumption.id}: {assumption.text}", highlight=False, soft_wrap=True)
    console.print("\nEverything that it made is removed." if not left else f"\n{len(left)} things are left: see above.", highlight=False)
