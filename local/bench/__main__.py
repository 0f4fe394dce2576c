"""``python -m local.bench``: ratios of ways to do one thing, side by side in one run, or what several seeds of the demo gain."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from embedded_aws.tools import deployer, launcher
from local import options
from local.bench import containers, packaged, report, seeds, synthesis
from local.bench.measure import FEWEST_ROUNDS, Comparison, compare, measure
from local.demo.build import GatesRefused
from local.demo.session import DemoFailed
from local.texts import packages
from stacks.synthesis import SynthesisFailed

OUTPUT = launcher.ROOT / "out" / "bench"
EXPECTED = (
    DemoFailed, GatesRefused, SynthesisFailed, containers.NotReady, packages.CorpusUnavailable, launcher.EmulatorError,
    deployer.DeployError, subprocess.CalledProcessError, OSError, BotoCoreError, ClientError,
)  # fmt: skip


class Bench:
    """Sets up what a comparison needs, once, and takes it down at the end."""

    def __init__(self, folder: Path, console: Console, stack: ExitStack) -> None:
        self._folder, self._console, self._stack = folder, console, stack

    @cached_property
    def _app(self) -> Any:
        from local.bench import serving

        self._console.print("setting up for path, batch and cold: the first half of a quick demo", highlight=False)
        return self._stack.enter_context(serving.released(self._empty("app"), self._console))

    def _empty(self, name: str) -> Path:
        shutil.rmtree(self._folder / name, ignore_errors=True)
        (self._folder / name).mkdir(parents=True)
        return self._folder / name

    def synth(self) -> Comparison:
        return synthesis.synth(self._empty("cdk.out"))

    def start(self) -> Comparison:
        return self._stack.enter_context(containers.start(self._empty("start")))

    def epoch(self) -> Comparison:
        from local.bench.training import epoch  # torch, which the other comparisons do not need

        return epoch()

    def path(self) -> Comparison:
        from local.bench.serving import path

        return path(self._app)

    def batch(self) -> Comparison:
        from local.bench.serving import batch

        return batch(self._app)

    def cold(self) -> Comparison:
        from local.bench.serving import cold

        return cold(self._app)


COMPARISONS: Mapping[str, Callable[[Bench], Comparison]] = {
    "synth": Bench.synth,
    "start": Bench.start,
    "epoch": Bench.epoch,
    "path": Bench.path,
    "batch": Bench.batch,
    "cold": Bench.cold,
}
"""In the order in which they run; those of the deployed app come last."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.bench",
        description="Times ways of doing one thing side by side: medians, quartiles and ratios, on the terminal and in bench.json.",
        epilog="Ratios say more than seconds: other programs on the machine slow all ways alike, and the order changes every round.",
    )
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, metavar="NAME", help=f"of {', '.join(COMPARISONS)} (default: all)")
    parser.add_argument("--rounds", type=_rounds, help=f"of every comparison, at least {FEWEST_ROUNDS} (default: each comparison's own)")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of bench.json or seeds.md (default: out/bench)")
    commands = parser.add_subparsers(dest="command", metavar="seeds, texts, lengths, review, rollout, gates, queue, predict")
    several = commands.add_parser("seeds", help="run the demo once a seed, some minutes each, and make the table of docs/benchmarks.md")
    several.add_argument("--seeds", nargs="+", type=options.seed, default=[1, 2, 3, 4], help="(default: 1 2 3 4)")
    several.add_argument("--quick", action="store_true", help="quick demos: other figures than those of docs/benchmarks.md")
    texts = commands.add_parser("texts", help="run the demo on texts that packages ship, some minutes each (docs/own-texts.md)")
    texts.add_argument("--data", nargs="+", choices=packaged.DATA, metavar="NAME", default=list(packaged.DATA),
                       help=f"of {', '.join(packaged.DATA)} (default: all)")  # fmt: skip
    texts.add_argument("--quick", action="store_true", help="quick demos: fewer texts, lower accuracy")
    texts.add_argument("--seed", type=options.seed, default=1, help="(default: 1)")
    long = commands.add_parser("lengths", help="train once for each length of texts, and make the table of docs/benchmarks.md")
    long.add_argument("--rows", type=int, default=2_000, help="training rows (default: 2000)")
    long.add_argument("--lengths", nargs="+", type=int, default=[64, 128, 256, 512], help="word pieces (default: 64 128 256 512)")
    people = commands.add_parser("review", help="what the review promise, fewer answers and consolidation gain (two minutes)")
    people.add_argument("--seeds", nargs="+", type=options.seed, default=[1, 2, 3], help="one training each (default: 1 2 3)")
    people.add_argument("--again", action="store_true", help="train again, also where a seed's answers were kept")
    rollout = commands.add_parser("rollout", help="what the judge decides in simulated rollouts, and after how many labels (some minutes)")
    rollout.add_argument("--rollouts", type=_count, default=2_000, help="of each cell (default: 2000)")
    rollout.add_argument("--seed", type=options.seed, default=1, help="(default: 1)")
    gates = commands.add_parser("gates", help="what many retrainings lose in spite of the gates, and what the gates refuse (some minutes)")
    gates.add_argument("--apps", type=_count, default=400, help="of each cell (default: 400)")
    gates.add_argument("--retrainings", type=_count, default=10, help="of each app (default: 10)")
    gates.add_argument("--seed", type=options.seed, default=1, help="(default: 1)")
    queue = commands.add_parser("queue", help="how long the next of many open review tasks takes, and whether anybody gets one twice")
    queue.add_argument("--tasks", type=_count, default=100_000, help="open tasks (default: 100000)")
    queue.add_argument("--takes", type=_count, default=500, help="people who take one, one after the other (default: 500)")
    queue.add_argument("--reviewers", type=_count, default=200, help="people who take one at the same moment (default: 200)")
    predict = commands.add_parser("predict", help="what POST /predict adds to InvokeEndpoint, part by part, and to a cold start")
    predict.add_argument("--calls", type=_rounds, default=200, help="of each way, one after the other (default: 200)")
    predict.add_argument("--starts", type=_rounds, default=7, help="of a process of the function (default: 7)")
    return parser.parse_args(arguments)


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r}: a whole number, at least 1")
    return int(value)


def _rounds(value: str) -> int:
    if not value.isdecimal() or int(value) < FEWEST_ROUNDS:
        raise argparse.ArgumentTypeError(f"{value!r}: a whole number, at least {FEWEST_ROUNDS}, since quartiles are reported")
    return int(value)


def time_all(names: Sequence[str], rounds: int | None, output: Path, console: Console) -> None:
    """Every comparison after the other; ``bench.json`` is written after each."""
    content: dict[str, Any] = {"machine": report.machine(), "comparisons": {}}
    with ExitStack() as stack:
        bench = Bench(output, console, stack)
        for name in names:
            comparison = COMPARISONS[name](bench)
            columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("rounds"), TimeElapsedColumn())
            with Progress(*columns, console=console, transient=True) as bar:
                task = bar.add_task(name, total=1 + (rounds or comparison.rounds))
                seconds = measure(comparison.ways, rounds or comparison.rounds, on_round=partial(bar.advance, task))
            figures = compare(seconds)
            console.print(report.table(comparison, figures), highlight=False)
            content["comparisons"][name] = report.as_json(comparison, figures, seconds)
            report.write(output / "bench.json", content)
    console.print(f"written: {output / 'bench.json'}", highlight=False)


def run_seeds(numbers: Sequence[int], output: Path, console: Console, *, quick: bool) -> int:
    """Exit code 0 when every demo ran to its end, else 1."""
    runs = []
    for number in numbers:
        with console.status(f"seed {number}: the demo runs (log: {output / f'seed-{number}' / 'demo.log'})"):
            runs.append(seeds.run_seed(number, output, quick=quick))
        console.print(f"seed {number}: {runs[-1].run.summary.get('outcome', 'failed')}", highlight=False)
    table = Table(*seeds.COLUMNS)
    for run in runs:
        table.add_row(*run.row())
    console.print(table, highlight=False)
    (output / "seeds.md").write_text(seeds.markdown(runs), encoding="utf-8")
    console.print(f"written: {output / 'seeds.md'}; each demo's log, summary and report are beside it", highlight=False)
    return 0 if all(one.run.ended for one in runs) else 1


def run_texts(chosen: argparse.Namespace, output: Path, console: Console) -> int:
    """Print the table and write ``texts.json``. Exit code 0 when every run came to its end, else 1."""
    runs, table = [], Table(*packaged.COLUMNS)
    for name in chosen.data:
        with console.status(f"{name}: the demo runs (log: {output / 'texts' / name / 'demo.log'})"):
            runs.append(packaged.run_on(name, output / "texts", quick=chosen.quick, seed=chosen.seed))
        table.add_row(*runs[-1].row())
        report.write(output / "texts.json", {"machine": report.machine(), "data": {one.name: one.as_json() for one in runs}})
    console.print(table, highlight=False)
    console.print(f"written: {output / 'texts.json'}; each demo's log, summary and reports are in {output / 'texts'}", highlight=False)
    return 0 if all(one.run.ended for one in runs) else 1


def run_lengths(rows: int, lengths: Sequence[int], console: Console) -> int:
    """A row of the table for each length, as soon as it is measured."""
    from local.bench.training import jobs  # torch, as above

    console.print("| rows | word pieces | seconds | MB |\n|---|---|---|---|", highlight=False)
    for job in jobs(rows, lengths):
        console.print(f"| {job.rows:,} | {job.pieces} | {job.seconds:.0f} | {job.megabytes:,} |", highlight=False)
    return 0


def run_review(numbers: Sequence[int], output: Path, console: Console, *, again: bool) -> int:
    """Print the tables and write ``review.json``. Exit code 0, whatever was reached: the file says it."""
    from local.bench import review  # torch, as above

    folder = output / "review"
    if again:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("models are trained", total=2 * len(numbers))
        content = review.measure(numbers, folder, on_step=lambda done: bar.update(task, advance=1, description=done))
    for table in review.tables(content):
        console.print(table, highlight=False)
    report.write(output / "review.json", {"machine": report.machine(), **content})
    console.print(f"written: {output / 'review.json'}", highlight=False)
    return 0


def run_rollout(rollouts: int, seed: int, output: Path, console: Console) -> int:
    """Print the tables and write ``rollout.json``. Exit code 0, whatever was reached: the file says it."""
    from local.bench import rollout

    columns = (TextColumn("rollouts"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("rollouts", total=rollout.batches(rollouts))
        content = rollout.measure(rollouts, seed, processes=os.cpu_count() or 1, on_step=lambda: bar.advance(task))
    for table in rollout.tables(content):
        console.print(table, highlight=False)
    report.write(output / "rollout.json", {"machine": report.machine(), **content})
    console.print(f"written: {output / 'rollout.json'}", highlight=False)
    return 0


def run_gates(chosen: argparse.Namespace, output: Path, console: Console) -> int:
    """Print the table and write ``gates.json``. Exit code 0, whatever was measured."""
    from local.bench import gates

    columns = (TextColumn("apps"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("apps", total=gates.steps(chosen.apps))
        content = gates.measure(
            chosen.apps, chosen.retrainings, chosen.seed, processes=os.cpu_count() or 1, on_step=lambda: bar.advance(task)
        )
    for table in gates.tables(content):
        console.print(table, highlight=False)
    report.write(output / "gates.json", {"machine": report.machine(), **content})
    console.print(f"written: {output / 'gates.json'}", highlight=False)
    return 0


def run_queue(chosen: argparse.Namespace, output: Path, console: Console) -> int:
    """Print the table and write ``queue.json``.

    Exit code 0; 1 when somebody got a task that another one has, or none; 2 when there are more people than tasks.
    """
    from local.bench import queue

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("tasks are opened", total=queue.steps(chosen.tasks, chosen.takes, chosen.reviewers))
        step = partial(bar.update, task)
        try:
            content = queue.measure(chosen.tasks, chosen.takes, chosen.reviewers, lambda said, more: step(description=said, advance=more))
        except queue.MorePeopleThanTasks as error:
            console.print(f"[bold red]error[/]: {error}", highlight=False)
            return 2
    console.print(queue.table(content), highlight=False)
    console.print(", ".join(f"{name}: {content[name]}" for name in ("queries_per_take", "taken_twice", "got_none")), highlight=False)
    first, ahead = content["ahead_first_queries"], content["ahead_queries"]["max"]
    of_whom = f"queries of a person {content['ahead']:,} tasks ahead"
    console.print(f"{of_whom}: {first} at the first take, then at most {ahead:.0f}", highlight=False)
    one_by_one, at_once = ("reached" if content[name] else "not reached" for name in ("goal_reached", "at_once_goal_reached"))
    goal = f"99 of 100 below {content['goal_ms']:.0f} ms, without the table's time"
    console.print(f"{goal}: one by one {one_by_one}, at once {at_once}", highlight=False)
    report.write(output / "queue.json", {"machine": report.machine(), **content})
    console.print(f"written: {output / 'queue.json'}", highlight=False)
    return 1 if content["taken_twice"] or content["got_none"] else 0


def run_predict(chosen: argparse.Namespace, output: Path, console: Console) -> int:
    """Print the tables and write ``predict.json``. Exit code 0, whatever was measured."""
    from local.bench import predict

    folder = output / "predict"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("synthesised", total=predict.STEPS + chosen.calls + chosen.starts)
        step = partial(bar.update, task)
        content = predict.measure(chosen.calls, chosen.starts, folder, lambda said, more: step(description=said, advance=more))
    for table in predict.tables(content):
        console.print(table, highlight=False)
    report.write(output / "predict.json", {"machine": report.machine(), **content})
    console.print(f"written: {output / 'predict.json'}", highlight=False)
    return 0


_OF_THE_APP: Mapping[str, Callable[[argparse.Namespace, Path, Console], int]] = {
    "texts": run_texts,
    "gates": run_gates,
    "queue": run_queue,
    "predict": run_predict,
}


def run(chosen: argparse.Namespace, output: Path, console: Console) -> int:
    """What was asked for; its exit code."""
    if chosen.command == "seeds":
        return run_seeds(chosen.seeds, output, console, quick=chosen.quick)
    if chosen.command == "lengths":
        return run_lengths(chosen.rows, chosen.lengths, console)
    if chosen.command == "review":
        return run_review(chosen.seeds, output, console, again=chosen.again)
    if chosen.command == "rollout":
        return run_rollout(chosen.rollouts, chosen.seed, output, console)
    if chosen.command in _OF_THE_APP:
        return _OF_THE_APP[chosen.command](chosen, output, console)
    time_all([name for name in COMPARISONS if name in (chosen.only or COMPARISONS)], chosen.rounds, output, console)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 when something failed, 2 for wrong options, 130 when interrupted."""
    chosen, console = parse(arguments), Console()
    launcher.leave_real_accounts()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left running
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # read by transformers, which is imported when it is needed
    output = chosen.output.resolve()
    try:
        return run(chosen, output, console)
    except KeyboardInterrupt:
        return 130
    except EXPECTED as error:
        console.print(f"[bold red]error[/]: {error}", highlight=False)
        return 1


if __name__ == "__main__":
    sys.exit(main())
