"""The demo with several seeds: what each gains from one retraining. Makes the table of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local.bench.demo_run import DemoRun, run_demo

COLUMNS = ("seed", "tweets before", "after", "change (95 %)", "reviews, change (95 %)", "drift of tweets before", "after")


@dataclass(frozen=True)
class SeedRun:
    """The demo of one seed."""

    seed: int
    run: DemoRun

    def row(self) -> tuple[str, ...]:
        """A cell for each of COLUMNS. A run without a comparison has the reason in place of its figures."""
        compared = self.run.summary.get("before_after") or {}
        if {"tweets", "amazon"} - set(compared):
            return (
                str(self.seed),
                "",
                "",
                str(self.run.summary.get("outcome", "no summary")),
                str(self.run.summary.get("reason", "")),
                "",
                "",
            )
        tweets, reviews = compared["tweets"], compared["amazon"]
        shares = (f"{100 * tweets[when]['value']:.1f} %" for when in ("before", "after"))
        before = [point["score"] for point in self.run.summary["drift"] if point["domain"] == "tweets" and point["score"] is not None]
        drift = (max(before, default=None), self.run.summary["drift_score_after_retraining"])
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


def run_seed(seed: int, folder: Path, *, quick: bool) -> SeedRun:
    """Run one demo to its end; its output folder is ``seed-<seed>``."""
    options = ["--seed", str(seed), *(["--quick"] if quick else [])]
    return SeedRun(seed, run_demo(options, folder / f"seed-{seed}", folder / "run"))
