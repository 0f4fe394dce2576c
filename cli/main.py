"""Every command, and what they have in common: options, exit codes, how findings are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from cli.doctor.command import doctor
from cli.examples import shown
from cli.gold.command import results, set_gold
from cli.label.command import FileFirst, label
from cli.label.redriving import redrive
from cli.labels.command import correct, export, forget, report
from cli.packages import reregister
from cli.people.command import add, invite, list_people, remove, reset_authenticator
from cli.release import command as rollouts
from cli.smoke.command import smoke
from cli.tune import command as tunings

_ALL_CODES = "docs/commands.md has all of them."
_CODES = "Exit codes: 0 done; 1 failed; 2 refused, nothing was started; 4 AWS out of reach or no credentials"
EXIT_CODES = f"{_CODES}. {_ALL_CODES}"
CODES_OF_ROLLOUTS = f"{_CODES}; of a rollout that was followed: 10 rolled back, 11 inconclusive, 12 withdrawn or stopped. {_ALL_CODES}"

app = typer.Typer(
    name="reviewloop",
    help=f"reviewloop on the command line: looks at an account and works with a deployed stage. {CODES_OF_ROLLOUTS}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _commands(group: typer.Typer, path: str, functions: Mapping[str, Callable[..., None]]) -> None:
    """Add commands by their names, each with its example."""
    for name, function in functions.items():
        group.command(name, epilog=shown(f"{path} {name}".strip()))(function)


def _named(*functions: Callable[..., None]) -> dict[str, Callable[..., None]]:
    return {function.__name__: function for function in functions}


_commands(app, "", _named(doctor, smoke))
labelling = typer.Typer(
    cls=FileFirst,
    help=(
        "Have people label the texts of a file. `label FILE` is short for `label start FILE`, and `label start --help` shows its options. "
        f"{EXIT_CODES}"
    ),
    epilog=shown("label start"),
    no_args_is_help=True,
)
_commands(labelling, "label", {"start": label, "redrive": redrive})
app.add_typer(labelling, name="label")
release = typer.Typer(help=f"Model packages that serve, or shall: rollouts. {CODES_OF_ROLLOUTS}", no_args_is_help=True)
_commands(
    release,
    "release",
    _named(
        rollouts.start,
        rollouts.status,
        rollouts.watch,
        rollouts.pause,
        rollouts.resume,
        rollouts.approve,
        rollouts.abort,
        rollouts.promote,
        rollouts.history,
        rollouts.explain,
        rollouts.redrive,
        reregister,
    ),
)
app.add_typer(release, name="release")
tune = typer.Typer(help=f"Tunings and retrainings. {CODES_OF_ROLLOUTS}", no_args_is_help=True)
_commands(tune, "tune", _named(tunings.start, tunings.retrain, tunings.watch, tunings.history, tunings.report, tunings.redrive))
app.add_typer(tune, name="tune")
people = typer.Typer(help="Who may answer: the accounts of the stage's user pool.", no_args_is_help=True)
_commands(
    people,
    "review people",
    {"list": list_people, "add": add, "invite": invite, "reset-authenticator": reset_authenticator, "remove": remove},
)
review = typer.Typer(help="The people who review, and the gold tasks that show how well they answer.", no_args_is_help=True)
review.add_typer(people, name="people")
gold = typer.Typer(help="Gold tasks: texts whose label is known. They show how well each person answers.", no_args_is_help=True)
_commands(gold, "review gold", {"set": set_gold, "results": results})
review.add_typer(gold, name="gold")
app.add_typer(review, name="review")
labels = typer.Typer(help="People's labels: export, report, correct, forget a person.", no_args_is_help=True)
_commands(labels, "labels", _named(export, report, correct, forget))
app.add_typer(labels, name="labels")
