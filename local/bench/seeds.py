"""The demo with several seeds: what each gains from one retraining. Makes the table of docs/benchmarks.md."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded_aws.tools.launcher import ROOT, free_port

COLUMNS = ("seed", "tweets before", "after", "change (95 %)", "reviews, change (95 %)", "drift of tweets before", "after")


@dataclass(frozen=True)
class SeedRun:
    """One demo: its exit code (``local.demo --help`` has them) and its summary, empty when it wrote none."""

    seed: int
    code: int
    summary: dict[str, Any]

    @property
    def ended(self) -> bool:
        """Whether the loop came to an end. A refusal of every model by the gates is an end, too."""
        return self.code in (0, 3)

    def row(self) -> tuple[str, ...]:
        """A cell for each of COLUMNS. A run without a comparison has the reason in place of its figures."""
        compared = self.summary.get("before_after") or {}
        if {"tweets", "amazon"} - set(compared):
            return (str(self.seed), "", "", str(self.summary.get("outcome", "no summary")), str(self.summary.get("reason", "")), "", "")
        tweets, reviews = compared["tweets"], compared["amazon"]
        shares = (f"{100 * tweets[when]['value']:.1f} %" for when in ("before", "after"))
        before = [point["score"] for point in self.summary["drift"] if point["domain"] == "tweets" and point["score"] is not None]
        drift = (max(before, default=None), self.summary["drift_score_after_retraining"])
        return (str(self.seed), *shares, points(tweets["gain"]), points(reviews["gain"]), *(_score(value) for value in drift))


def _score(value: float | None) -> str:
    """A drift score; 1 is the alarm's threshold."""
    return "" if value is None else f"{value:.2f}"


def points(gain: dict[str, float]) -> str:
    """``+8.0 (4.5 to 11.7)``: percentage points with their interval."""
    return f"{100 * gain['value']:+.1f} ({100 * gain['low']:.1f} to {100 * gain['high']:.1f})"


def markdown(runs: Sequence[SeedRun]) -> str:
    """The table as docs/benchmarks.md has it."""
    head, *rows = (f"| {' | '.join(row)} |\n" for row in [COLUMNS, *(run.row() for run in runs)])
    return "".join([head, "|" + "---|" * len(COLUMNS) + "\n", *rows])


def run_demo(seed: int, folder: Path, *, quick: bool) -> SeedRun:
    """Run one demo to its end, with its own embedded AWS and output folder ``seed-<seed>``. An interruption stops the demo, too."""
    output = folder / f"seed-{seed}"
    output.mkdir(parents=True, exist_ok=True)
    summary = output / "summary.json"
    summary.unlink(missing_ok=True)
    command = [sys.executable, "-m", "local.demo", "--seed", str(seed), "--port", str(free_port()), "--output", str(output)]
    command += ["--run-dir", str(folder / "run"), *(["--quick"] if quick else [])]
    # A session of its own: Ctrl-C reaches the demo once, from here, and it ends what it has started.
    with (output / "demo.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        code = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    return SeedRun(seed, code, json.loads(summary.read_text(encoding="utf-8")) if summary.exists() else {})
