"""Every command, and what they have in common: options, exit codes, how findings are shown."""

from __future__ import annotations

import typer

from cli.doctor.command import doctor
from cli.packages import reregister
from cli.smoke.command import smoke

EXIT_CODES = "Exit codes: 0 nothing stands in the way; 1 something does; 2 wrong options or settings; 4 AWS out of reach or no credentials."

app = typer.Typer(
    name="reviewloop",
    help=f"reviewloop on the command line: looks at an account and works with a deployed stage. {EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(doctor)
app.command()(smoke)
release = typer.Typer(help="Model packages that serve, or shall.", no_args_is_help=True)
release.command()(reregister)
app.add_typer(release, name="release")
