"""``python -m local.demo``: the loop on this machine, from data to a promoted retrained model, with real parts throughout."""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from embedded_aws import options as account_options
from embedded_aws.tools import deployer, earlier_run, iam_report, launcher
from local import options
from local.demo import build, flipped, keep, loop, retraining
from local.demo.budget import FULL, QUICK, Budget
from local.demo.own_source import MOST_ROWS, OwnTexts
from local.demo.report import write_report
from local.demo.session import DemoFailed, Session
from local.demo.source import Source, reviews_and_tweets
from local.demo.summary import Summary
from local.texts import options as reading_options
from local.texts import packages
from local.texts.own_texts import InvalidTexts, prepare
from stacks.settings import SettingsError, load_settings

ROOT = Path(__file__).resolve().parent.parent.parent
RUN_DIR = ROOT / ".run"
EXPECTED = (
    DemoFailed,
    packages.CorpusUnavailable,
    launcher.EmulatorError,
    deployer.DeployError,
    deployer.InvalidAssembly,
    SettingsError,
)
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_FAILED, EXIT_WRONG, EXIT_REFUSED, EXIT_INTERRUPTED = 1, 2, 3, 130
ROOM_BYTES = 20_000_000
"""If less than this is free on the disk, a failure is explained by the full disk."""
EXIT_CODES = """exit code: 0 the loop ran to its end, whatever became of the new model (see "outcome" in summary.json);
1 a step failed; 2 wrong options, or another run is up; 3 the gates refused every candidate of a tuning, as they must with
--shuffle-labels; 130 interrupted"""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.demo",
        description="Run the loop on this machine; needs no AWS account and no Docker",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seed", type=options.seed, default=1, help="of the data split and the traffic; another seed gives other numbers (default: 1)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FILE",
        help="your own labelled texts (.csv, .tsv, .jsonl, .parquet, or a folder; default: Amazon reviews)",
    )
    parser.add_argument(
        "--base-model", type=Path, metavar="FOLDER",
        help="with --data: config.json, model.safetensors and tokenizer of another base model, such as one for another language",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="the same way with less of everything: two trials, two fifths of the reviews, fewer texts"
    )
    parser.add_argument("--shuffle-labels", action="store_true", help="learn from shuffled labels, to see the gates refuse the model")
    parser.add_argument(
        "--flip-challenger",
        action="store_true",
        help="instead of a retraining, roll out a model of flipped labels past the gates, to see the rollout take it back",
    )
    parser.add_argument(
        "--capture", choices=("endpoint", "app"), default="endpoint", help="who captures answers for the drift check (hosting.capture)"
    )
    parser.add_argument(
        "--backend",
        choices=("a2i", "hosted"),
        default="a2i",
        help="who asks people (review.backend): Amazon A2I, or the app's own page, for accounts that A2I is closed to",
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running and print the URLs; stop it with `make down`")
    account_options.add_port(parser)
    account_options.add_time_scale(parser)
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "demo", help="folder of report.html and summary.json")
    parser.add_argument("--run-dir", type=Path, default=RUN_DIR, help="folder of the embedded AWS; emptied at the start (default: .run)")
    account_options.add_replace(parser)
    reading_options.add_reading(parser)
    parser.set_defaults(most_rows=MOST_ROWS)
    arguments = parser.parse_args()
    if arguments.base_model is not None and arguments.data is None:
        parser.error("--base-model needs --data: the Amazon reviews are learnt with the model that comes with the project")
    return arguments


def run(session: Session, source: Callable[[Path], Source], seed: int, *, labels_shuffled: bool, flip_challenger: bool = False) -> None:
    """Every step in order; raises what EXPECTED names, or build.GatesRefused.

    Args:
        source: writes the first dataset version into a folder.
        flip_challenger: end with the rollout of a model of flipped labels, without drift and retraining.
    """
    packages = first_release(session, source, labels_shuffled=labels_shuffled)
    summary, later = session.summary, session.source.later
    with session.step("6 predict and review"):
        loop.load_answers(session, seed=seed)
        answers = loop.predict(session, session.source.first(session.budget.first_texts))
        answered = len(answers)
        loop.wait_for_reviews(session)
    if flip_challenger:
        with session.step("7 roll out a model of flipped labels"):
            answered += flipped.roll_out(session, later.texts)
            loop.wait_for_reviews(session)
            loop.account(session, answered)
        summary.outcome = f"model of flipped labels {summary.rollout['outcome'].replace('_', ' ')}"
        summary.reason = str(summary.rollout["reason"])
        return
    with session.step(f"7 {'drift to' if later.drifts else 'send'} {later.name}"):
        loop.assess_quiet(session, answers)
        answered += loop.send_later(session, later.texts)
        loop.wait_for_reviews(session)
    with session.step("8 retrain and roll out"):
        unsent = list(reversed(later.texts))
        retrained = retraining.retrain(session, unsent)
        comparison = None if retrained.refused or retrained.skipped else _compare(session, packages, seed)
        answered += retrained.answered + loop.drift_after_retraining(session, unsent[retrained.answered :])
        loop.wait_for_reviews(session)
        loop.account(session, answered)
    if retrained.refused:
        raise build.GatesRefused(retrained.refused)
    if comparison is None:
        if not session.source.origin:
            raise DemoFailed(f"no retraining: {retrained.skipped}")
        session.say(f"no retraining: {retrained.skipped}")
        summary.outcome, summary.reason = "first model released, no retraining", retrained.skipped
        return
    with session.step("9 before and after"):
        retraining.read_comparison(session, comparison)
        loop.alarm_after_retraining(session)
    summary.outcome = f"new model {summary.rollout['outcome'].replace('_', ' ')}"
    summary.reason = str(summary.rollout["reason"])


def _compare(session: Session, packages: Sequence[Mapping[str, Any]], seed: int) -> retraining.Comparison:
    """Begin the comparison of the first champion with the retrained model, which goes on while callers ask the new champion."""
    new = session.summary.retraining["packages"][0]["model_package_arn"]
    return retraining.start_comparison(session, retraining.ModelPair(packages[0]["model_package_arn"], new), seed)


def first_release(session: Session, source: Callable[[Path], Source], *, labels_shuffled: bool) -> list[dict[str, Any]]:
    """From the texts to the endpoint: the first five steps. Returns the model packages, the best first."""
    assembly = session.emulator.run_dir / "cdk.out"
    with session.step("1 data"):
        shutil.rmtree(session.output / "dataset", ignore_errors=True)
        build.take_source(session, source(session.output / "dataset"), labels_shuffled=labels_shuffled)
    with session.step("2 synth"):
        build.synthesise(session, assembly)
    with session.step("3 deploy"):
        session.emulator.wait()
        build.deploy(session, assembly)
        build.upload(session)
    with session.step("4 tune, evaluate, gate"):
        packages: list[dict[str, Any]] = build.tune(session, {})["packages"]
        build.read_scores(session, packages)
    with session.step("5 release"):
        build.release(session, packages)
    return packages


def main() -> int:
    arguments, console = parse(), Console(soft_wrap=not sys.stdout.isatty())  # lines of a file are as long as they are
    launcher.leave_real_accounts()
    terminal = _Terminal()
    _end_in_order(terminal)
    try:
        own = None if arguments.data is None else _own_texts(arguments)
        earlier_run.make_room(arguments.run_dir.resolve(), replace=arguments.replace, say=console.print)
    except (InvalidTexts, SettingsError, earlier_run.StillUp) as error:  # nothing has begun, and there may be another run's report
        console.print(f"[bold red]error[/]: {escape(str(error))}", highlight=False)
        return EXIT_WRONG
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    summary = Summary(seed=arguments.seed, labels_shuffled=arguments.shuffle_labels, quick=arguments.quick)
    session = None
    code = EXIT_FAILED
    try:
        with terminal.interrupts_when_closed():
            session = _start(arguments, own, summary, console)
            run(
                session, _source(arguments, own, session.budget), arguments.seed,
                labels_shuffled=arguments.shuffle_labels, flip_challenger=arguments.flip_challenger,
            )  # fmt: skip
        code = 0
    except build.GatesRefused as refusal:
        code = EXIT_REFUSED
        summary.outcome, summary.reason = "refused by the gates", str(refusal)
        console.print(f"\n[bold yellow]The gates refused[/]: {refusal}", highlight=False)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
        summary.outcome, summary.reason = "interrupted", "stopped by the user"
    except (*EXPECTED, OSError, BotoCoreError, ClientError) as error:
        summary.outcome, summary.reason = "failed", _in_words(error, arguments)
        console.print(f"\n[bold red]error[/]: {summary.reason}", highlight=False)
    finally:
        for number in _ENDING:  # what was begun here is ended, however impatient the sender
            signal.signal(number, signal.SIG_IGN)
        if session is not None:
            _leave(session, keep_running=arguments.keep and code in (0, EXIT_REFUSED))
            summary.iam = iam_report.totals(session.emulator.audit_file)
    try:
        summary.write(arguments.output / "summary.json")
        write_report(summary, arguments.output / "report.html", None if session is None else session.rollout)
    except OSError as error:
        console.print(f"[bold red]error[/]: no report: {_in_words(error, arguments)}", highlight=False)
        return code or EXIT_FAILED
    console.print(f"\n[bold]{summary.outcome}[/]: {arguments.output / 'report.html'}", highlight=False)
    if code == 0 and own is not None:
        said = f"The same texts for an account (docs/operations.md):\n  {own.upload()}"
        console.print(said, highlight=False, markup=False, soft_wrap=True)
    if session is not None and session.emulator.is_alive():
        session.emulator.keep()
        keep.add_reviewers(session)
        keep.print_urls(console, session)
    return code


def _leave(session: Session, *, keep_running: bool) -> None:
    """The recorded raters go home; the embedded AWS stays only for people."""
    if session.raters is not None:
        session.raters.stop()
    if not keep_running:
        session.emulator.stop()


class _Terminal:
    """The terminal that this run writes to, if there is one. Its user may close it at any time, and writing to it fails from then on."""

    def __init__(self) -> None:
        self._numbers = [stream.fileno() for stream in (sys.stdout, sys.stderr) if stream.isatty()]

    @contextmanager
    def interrupts_when_closed(self) -> Iterator[None]:
        """Writing to a closed terminal interrupts the run. The error may come before the signal that says so."""
        try:
            yield
        except OSError as error:
            if not self._numbers or error.errno != errno.EIO:
                raise
            self.leave()
            raise KeyboardInterrupt from None

    def leave(self) -> None:
        """Write nowhere from now on."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in self._numbers:
            os.dup2(nowhere, number)


def _end_in_order(terminal: _Terminal) -> None:
    """Make SIGTERM and a closed terminal end a run as Ctrl-C does. Under ``nohup`` a closed terminal ends nothing."""

    def hang_up(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # the shell, make and the kernel send one each
        terminal.leave()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, hang_up)


def _own_texts(arguments: argparse.Namespace) -> OwnTexts:
    """Read the file of ``--data``. Raises InvalidTexts with all that is wrong with it."""
    dataset = load_settings(ROOT / "settings" / "dev.yaml").dataset
    options = reading_options.reading(arguments)
    prepared = prepare(arguments.data, options, labels=dataset.labels or None, longest=dataset.max_text_chars, seed=arguments.seed)
    return OwnTexts(arguments.data, prepared, seed=arguments.seed, options=options, base_model=arguments.base_model)


def _source(arguments: argparse.Namespace, own: OwnTexts | None, budget: Budget) -> Callable[[Path], Source]:
    if own is None:
        return partial(reviews_and_tweets, budget=budget, seed=arguments.seed, labels_shuffled=arguments.shuffle_labels)
    return partial(own.write, labels_shuffled=arguments.shuffle_labels)


def _start(arguments: argparse.Namespace, own: OwnTexts | None, summary: Summary, console: Console) -> Session:
    """Start an embedded AWS with an empty state. It is not up yet when this returns."""
    build.require_node()
    budget = QUICK if arguments.quick else FULL
    if own is not None:
        budget = own.budget(budget)
    if arguments.capture != "endpoint":
        budget = replace(budget, overrides=(*budget.overrides, ("hosting", "capture", arguments.capture)))
    if arguments.backend == "hosted":
        # The recorded raters take nothing back, so a task ends with its last answer.
        hosted = (("review", "backend", "hosted"), ("review", "undo_seconds", 0), ("labeling", "backend", "hosted"))
        budget = replace(budget, overrides=(*budget.overrides, *hosted))
    settings = budget.apply(load_settings(ROOT / "settings" / "dev.yaml"))
    run_dir, output = arguments.run_dir.resolve(), arguments.output.resolve()
    launcher.require_own(run_dir)
    summary.write(output / "summary.json")
    (output / "report.html").unlink(missing_ok=True)
    emulator = launcher.start(
        run_dir, port=arguments.port, time_scale=arguments.time_scale, region=settings.region, preload=launcher.IMAGE_MODULES, wait=False,
        command="make up" if arguments.keep else "make demo",
    )  # fmt: skip
    return Session(emulator, settings, output, summary, console, budget, arguments.base_model)


def _in_words(error: Exception, arguments: argparse.Namespace) -> str:
    """What happened, and what to do. A full disk causes many different errors, also in other processes, so the free space is checked."""
    text = str(error)
    if isinstance(error, OSError):
        text = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
    if isinstance(error, BotoCoreError | ClientError):
        text = f"{error}; the embedded AWS says more in {arguments.run_dir / 'emulator.log'}"
    for folder in (arguments.run_dir, arguments.output):
        if _free_bytes(folder) < ROOM_BYTES:
            return f"the disk is full: about 2 GB are needed for {folder} besides what is installed; make room, then start again ({text})"
    return text


def _free_bytes(folder: Path) -> int:
    """Free bytes on the file system of a folder that may not exist yet."""
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    return shutil.disk_usage(existing).free


if __name__ == "__main__":
    sys.exit(main())
