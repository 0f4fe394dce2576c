"""The commands ``tune start``, ``retrain``, ``watch``, ``history``, ``report`` and ``redrive``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.account import Account
from cli.console import (
    ROOT,
    AsJson,
    NotDone,
    Profile,
    Refused,
    Stage,
    confirm,
    errors_as_sentences,
    following,
    print_json,
    print_json_line,
    settings_of,
)
from cli.executions import Execution, Machine, passes
from cli.release import view
from cli.tune import reports
from cli.tune.history import PARTS, Tuning

Id = Annotated[str | None, typer.Argument(help="Name of the execution, its ARN, or how the name begins")]
Reason = Annotated[str | None, typer.Option(help="Why; it stands in the execution's input (default: who called)")]
Watch = Annotated[bool, typer.Option("--watch", help="Follow it to its end; its outcome is the exit code")]
Every = Annotated[float, typer.Option(min=0.1, max=600, help="Seconds between two readings")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking; for pipelines")]
PAGES = ROOT / "out" / "tune"
"""Where the pages of a tuning's candidates are written, ``<execution>/<candidate>.html``."""
_LINES = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, and nothing else there")]


def start(  # noqa: PLR0917  (typer passes every option by its name)
    dataset: Annotated[str | None, typer.Option(help="S3 URI of a dataset version (default: the current one)")] = None,
    max_jobs: Annotated[int | None, typer.Option(min=1, max=100, help="Training jobs at most (default: tuning.max_jobs)")] = None,
    reason: Reason = None,
    watch: Watch = False,
    every: Every = 5.0,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Tune: search hyper-parameters, evaluate the best models, and register those that pass the gates."""
    with errors_as_sentences():
        account, machine = _machine(stage, profile, "tuning")
        if dataset is None and account.parameter("dataset") in (None, "none"):
            raise Refused("there is no dataset yet: upload one, `python -m local.upload`, and set the parameter `dataset`")
        content = {"dataset_uri": dataset, "max_jobs": max_jobs, "reason": reason or _started_by(account)}
        _run(machine, {key: value for key, value in content.items() if value is not None}, _Follower(machine, every, as_json), watch=watch)


def retrain(  # noqa: PLR0917  (typer passes every option by its name)
    reason: Reason = None,
    watch: Watch = False,
    every: Every = 5.0,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Retrain on the new labels, and roll the best model out: what the schedule and the drift alarm start by themselves."""
    with errors_as_sentences():
        account, machine = _machine(stage, profile, "retraining")
        running = machine.running()
        if running:
            raise Refused(f"retraining {running[0].name} runs already: `tune watch {running[0].name}` follows it")
        _run(machine, {"reason": reason or _started_by(account)}, _Follower(machine, every, as_json), watch=watch)


def watch(
    execution: Id = None,
    every: Every = 5.0,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: _LINES = False,
) -> None:
    """Follow a tuning or retraining to its end, by default one that runs, else the newest. Its outcome is the exit code."""
    with errors_as_sentences():
        machine, found = _find(Account(settings_of(stage), profile), execution)
        _end(_Follower(machine, every, as_json).to_the_end(found))


def history(
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="How many of the newest executions of each kind")] = 10,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List the newest tunings and retrainings with their outcome and its reason."""
    with errors_as_sentences():
        machines = _machines(Account(settings_of(stage), profile))
        found = [_summary(machine, one) for machine in machines for one in machine.listed(most=limit)]
    found.sort(key=lambda one: one.started or datetime.now(UTC), reverse=True)
    if as_json:
        print_json([document(one) for one in found])
        return
    if not found:
        print("no tuning and no retraining yet")
        return
    rows = []
    for one in found:
        took = view.span(one.ended - one.started) if one.ended and one.started else "-"
        started = f"{one.started:%Y-%m-%d %H:%M}" if one.started else "-"
        rows.append((one.id, one.part, started, took, view.words(one.outcome), one.why or packages_of(one).replace("\n", ", ")))
    for line in view.history_lines(rows):
        print(line)


def report(
    execution: Id = None,
    output: Annotated[Path | None, typer.Option(help="Folder of the pages (default: out/tune/<execution>)")] = None,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Write a page about the data and the models of an ended tuning: the evaluation's report, trials, cost and next steps.

    Takes the newest ended tuning that has an evaluation, or EXECUTION. Of a retraining it takes the tuning. It reads only. Exit codes:
    0 at least one page is written; 1 there is no evaluation or no report; 2 there is no such execution, or it still runs.
    """
    with errors_as_sentences():
        account = Account(settings_of(stage), profile)
        evaluated = _evaluated(account, execution)
        made = reports.made_of(account, evaluated, reports.bill_of(account, evaluated))
        folder = output or PAGES / evaluated.tuning.id
        shown = [one for one in made if one.content is not None]
        if not shown:
            whys = "; ".join(f"{one.candidate.training_job}: {one.why}" for one in made)
            raise NotDone(f"{evaluated.tuning.id} has no report to show. {whys}")
        pages = {one.candidate.training_job: folder / f"{one.candidate.training_job}.html" for one in shown}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for one in shown:
                pages[one.candidate.training_job].write_text(one.html, encoding="utf-8")
        except OSError as error:
            raise NotDone(f"the pages cannot be written ({error}): choose another folder with --output") from None
    if as_json:
        written = [{**one.candidate.document(), "page": str(pages[one.candidate.training_job]), "report": one.content} for one in shown]
        without = [{**one.candidate.document(), "reason": one.why} for one in made if one.content is None]
        print_json({**document(evaluated.tuning), "reports": written, "without_report": without})
        return
    print(f"{evaluated.tuning.id}: {view.words(evaluated.tuning.outcome)}")
    for one in made:
        name, said = one.candidate.training_job, reports.GATES_SAID[one.candidate.passed]
        if one.content is None:
            print(f"{name}: no page, {one.why}")
        else:
            print(f"{name}: macro-F1 {one.content['overall']['macro_f1']['value']:.3f}, {said}\n  page: {pages[name]}")


def redrive(  # noqa: PLR0917  (typer passes every option by its name)
    execution: Annotated[str, typer.Argument(help="Name of the failed execution, its ARN, or how the name begins")],
    yes: Yes = False,
    watch: Watch = False,
    every: Every = 5.0,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Let a failed tuning or retraining go on from the step that failed. Remove the cause first."""
    with errors_as_sentences():
        machine, found = _find(Account(settings_of(stage), profile), execution)
        confirm(f"{machine.part} {found.name} goes on. It failed: {_summary(machine, found).why}", yes=yes)
        machine.redrive(found)
        _tell(found, _Follower(machine, every, as_json), watch=watch)


# -- following -------------------------------------------------------------------------------------

_Counts = tuple[int, int | None, str]
_NO_COUNTS: _Counts = (0, None, "")


@dataclass(frozen=True)
class _Follower:
    machine: Machine
    every: float
    as_json: bool

    def to_the_end(self, execution: Execution) -> Tuning:
        """Show it until it has ended.

        Raises:
            typer.Exit: somebody pressed Ctrl-C; it goes on.
        """
        with following(execution.name, "tune watch"):
            return self._follow(execution)

    def _follow(self, execution: Execution) -> Tuning:
        quiet = self.as_json or not sys.stdout.isatty()
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        said, counts = "", _NO_COUNTS
        with Progress(*columns, disable=quiet) as bar:
            task = bar.add_task(execution.name, total=None)
            for tuning in self._readings(execution):
                counts = self._trials(tuning, counts)
                done, most, best = counts
                doing = f"{tuning.doing}, {done} of {most} jobs{best}" if most else tuning.doing
                bar.update(task, description=doing, completed=done, total=most)
                if quiet and tuning.runs and doing != said:
                    said = doing
                    self._say(doing, {"event": "doing", "doing": tuning.doing, "jobs": done, "of": most})
        if self.as_json:
            print_json_line({"event": "end", **document(tuning)})
        else:
            print(f"{view.words(tuning.outcome)}: {tuning.why or packages_of(tuning)}", flush=True)
        return tuning

    def _say(self, line: str, event: dict[str, Any]) -> None:
        if self.as_json:
            print_json_line(event)
        else:
            print(line, flush=True)

    def _readings(self, execution: Execution) -> Iterator[Tuning]:
        tuning = Tuning(execution.name, self.machine.part)
        while True:
            tuning = tuning.after(self.machine.news(execution.arn, after=tuning.last_event))
            yield tuning
            if not tuning.runs:
                return
            time.sleep(self.every)

    def _trials(self, tuning: Tuning, last: _Counts) -> _Counts:
        """Training jobs that have ended, how many there are at most, and the best objective in words.

        While they cannot be read, they are the ``last`` ones: they only tell how far the tuning is.
        """
        if tuning.tuning_job is None or not tuning.state.startswith("Tune"):
            return _NO_COUNTS
        sagemaker = self.machine.account.client("sagemaker")
        try:
            job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=tuning.tuning_job)
        except sagemaker.exceptions.ResourceNotFound:  # it is about to be made
            return _NO_COUNTS
        except (BotoCoreError, ClientError) as error:
            if not passes(error):
                raise
            return last
        counters = job.get("TrainingJobStatusCounters", {})
        done = sum(int(counters.get(name, 0)) for name in ("Completed", "NonRetryableError", "Stopped"))
        best = job.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
        most = int(job["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"])
        return done, most, "" if best is None else f", best {best:.3f}"


# -- what they share -------------------------------------------------------------------------------


def document(tuning: Tuning) -> dict[str, Any]:
    """The JSON form."""
    return {
        "id": tuning.id,
        "kind": tuning.part,
        "outcome": tuning.outcome,
        "reason": tuning.why,
        "exit_code": None if tuning.runs else int(tuning.exit_code),
        "started": view.iso(tuning.started),
        "ended": view.iso(tuning.ended),
        "doing": tuning.doing if tuning.runs else None,
        "tuning_job": tuning.tuning_job or tuning.output.get("tuning_job"),
        "dataset_version": tuning.output.get("dataset_version"),
        "packages": tuning.packages,
        "rollout": tuning.output.get("rollout"),
    }


def packages_of(tuning: Tuning) -> str:
    return "\n".join(str(one["model_package_arn"]) for one in tuning.packages)


def _machine(stage: str, profile: str | None, part: str) -> tuple[Account, Machine]:
    account = Account(settings_of(stage), profile)
    machine = Machine(account, part)
    machine.require()
    return account, machine


def _machines(account: Account) -> list[Machine]:
    """Those of both kinds that are deployed.

    Raises:
        Refused: none is.
    """
    machines = [Machine(account, part) for part in PARTS]
    found = [machine for machine in machines if account.stack(account.names.stack(machine.part)) is not None]
    if not found:
        machines[0].require()
    return found


def _find(account: Account, wanted: str | None) -> tuple[Machine, Execution]:
    """The execution of either kind; without a name one that runs, a retraining first, else the newest.

    Raises:
        Refused: none, or more than one.
    """
    machines = _machines(account)
    if wanted is None:
        every = [(machine, one) for machine in reversed(machines) for one in [*machine.running()[:1], *machine.listed(most=1)]]
        if not every:
            raise Refused("no tuning and no retraining yet: there is nothing to show")
        running = [pair for pair in every if pair[1].runs]
        return running[0] if running else max(every, key=lambda pair: pair[1].started)
    said = []
    for machine in machines:
        try:
            return machine, machine.find(wanted)
        except Refused as refused:
            said.append(str(refused))
    raise Refused("; ".join(said) + ": `tune history` lists the newest")


def _evaluated(account: Account, wanted: str | None) -> reports.Evaluated:
    """The ended tuning whose reports are wanted.

    Raises:
        Refused: none, more than one, or it still runs.
        NotDone: it has no evaluation.
    """
    if wanted is None:
        tunings = Machine(account, "tuning")
        tunings.require()
        return reports.newest(tunings)
    machine, found = _find(account, wanted)
    if machine.part == "tuning":
        return reports.named(machine, found)
    tunings = Machine(account, "tuning")
    return reports.named(tunings, reports.tuning_of(found, tunings))


def _summary(machine: Machine, execution: Execution) -> Tuning:
    return Tuning(execution.name, machine.part).after(machine.summary(execution))


def _run(machine: Machine, content: dict[str, Any], follower: _Follower, *, watch: bool) -> None:
    _tell(machine.start(content, f"{machine.part}-{datetime.now(UTC):%Y%m%d-%H%M%S}"), follower, watch=watch)


def _tell(execution: Execution, follower: _Follower, *, watch: bool) -> None:
    if watch:
        _end(follower.to_the_end(execution))
    if follower.as_json:
        print_json({"id": execution.name, "arn": execution.arn})
        return
    print(f"{follower.machine.part} {execution.name} runs: `tune watch {execution.name}` follows it")


def _end(tuning: Tuning) -> NoReturn:
    raise typer.Exit(tuning.exit_code)


def _started_by(account: Account) -> str:
    return f"started by {account.caller}"
