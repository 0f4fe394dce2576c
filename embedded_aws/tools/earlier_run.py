"""What an earlier command left running: a forgotten one is ended, one that somebody uses only when its user agrees."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from embedded_aws.tools import launcher


class StillUp(RuntimeError):
    """Something runs that somebody uses, and nobody agreed to end it; the text says what to do."""


def make_room(run_dir: Path, *, replace: bool, say: Callable[[str], None]) -> None:
    """End what runs in ``run_dir``, so that a new embedded AWS can start there; says what becomes of it.

    Raises:
        StillUp: somebody uses it, and neither ``replace`` nor an answer at the terminal says that it may be ended.
    """
    left = launcher.find(run_dir)
    if left is None:
        if (run_dir / launcher.RECORD).exists():
            say("an earlier run was cut off: starting clean")
        return
    if left.in_use and not replace:
        what = f"`{left.command or 'another command'}` is up (port {left.port}), and its state would be lost"
        if not _agreed(f"{what}. End it and start clean?"):
            raise StillUp(
                f"{what}: stop it with `make down` or `python -m embedded_aws stop`, or start with --replace (make: ARGS=--replace)"
            )
    say("an earlier run is still up: stopping it and starting clean")
    left.stop()


def _agreed(question: str) -> bool:
    """Ask on standard error, since standard output may be read by a program; without a terminal the answer is no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
