"""Follow a rollout to its end: the history is read again and again, only its new events each time."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from cli.console import following, print_json_line
from cli.executions import Execution, Machine
from cli.release import view
from cli.release.history import Rollout


@dataclass(frozen=True)
class Follower:
    """How a rollout is shown while it runs. ``every``: seconds between two readings."""

    machine: Machine
    every: float
    as_json: bool = False

    def to_the_end(self, execution: Execution) -> Rollout:
        """Show the rollout until it has ended: JSON lines, a live view on a terminal, or lines of a log.

        Raises:
            typer.Exit: somebody pressed Ctrl-C; the rollout goes on.
        """
        with following(execution.name, "release watch"):
            return self._lines(execution) if self.as_json or not sys.stdout.isatty() else self._live(execution)

    def readings(self, execution: Execution) -> Iterator[Rollout]:
        """The rollout at every reading; the last one has ended."""
        rollout = Rollout(execution.name)
        while True:
            rollout = rollout.after(self.machine.news(execution.arn, after=rollout.last_event))
            yield rollout
            if not rollout.runs:
                return
            time.sleep(self.every)

    def _lines(self, execution: Execution) -> Rollout:
        before = Rollout(execution.name)
        for rollout in self.readings(execution):
            for event in view.news(before, rollout):
                if self.as_json:
                    print_json_line(event)
                elif said := view.line(event):
                    print(said, flush=True)
            before = rollout
        return before

    def _live(self, execution: Execution) -> Rollout:
        rollout = Rollout(execution.name)
        with Live(console=Console(), refresh_per_second=4) as shown:
            for rollout in self.readings(execution):
                shown.update(view.live(rollout, datetime.now(UTC)))
        return rollout
