"""The command ``label``."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer.core import TyperGroup

from cli.account import Account, NoAccount
from cli.console import FAILED, NO_ACCOUNT, ROOT, WRONG_OPTIONS, AsJson, Profile, Stage, agreed, print_json, settings_of, stop, stop_refused
from cli.executions import passes
from cli.exit_codes import ExitCode
from cli.label.ground_truth import GroundTruthJob
from cli.label.hosted import HostedJob
from cli.label.job import Job, Standing, job_name_of, name_fault
from cli.label.results import REFUSED_ROWS, Counts, counts_of, write_manifest, write_refused, write_version
from cli.label.stage import NoLabels, NoStage, forgotten_among, given_labels, import_labels, stage_labels, task_table, terms_of
from cli.label.texts import FORGOTTEN, Refused, Texts, read_texts, without
from contracts.dataset import InvalidDataset
from contracts.phrases import counted
from lambdas.common.batch_get import TableIsBusy
from lambdas.common.labels import Labels
from local.texts.codec_names import UnknownEncoding, codec_of
from local.texts.problems import InvalidTexts, UnreadableFile
from stacks.settings import Settings

_NAMED = 3
"""Rows of a kind that the message names; the file in the folder has all."""


_GO_ON = "Run the same command again to go on: it asks nobody twice."


class FileFirst(TyperGroup):
    """``label FILE`` is ``label start FILE``: what comes first names a command only if there is one of this name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, "--help"):
            args = ["start", *args]
        return super().parse_args(ctx, args)


def label(  # noqa: PLR0917  (typer passes every option by its name)
    file: Annotated[Path, typer.Argument(help=".csv, .tsv, .jsonl or .parquet with one text in each row")],
    labels: Annotated[str | None, typer.Option(help='Labels to choose from: "Good,Bad" (default: the labels of the stage)')] = None,
    text_column: Annotated[
        str | None, typer.Option("--text-column", "--text", help="Column of the texts, or title+body for two (guessed)")
    ] = None,
    group_column: Annotated[
        str | None, typer.Option("--group-column", "--group", help="Column of what stays in one split: a document")
    ] = None,
    header: Annotated[str, typer.Option(help="Whether the first line of a table names its columns: auto, yes or no")] = "auto",
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the file, such as cp1250 (UTF-8, UTF-16, Latin-1, Windows-1252 are recognised)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results (default: out/label/<name>)")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job, by which it goes on (default: from the file's name)")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until people have answered, or come back later")] = True,
    every: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between two checks for new answers")] = 15,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation; for pipelines")] = False,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Have people label the texts of a file. The results are an output manifest in Ground Truth's form and a dataset version.

    Run the same command again to go on: nobody is asked about a text twice. Rows that cannot be used are listed before anybody is asked,
    and all other rows are used.
    """
    settings, job_name = _checked(stage, name or job_name_of(file.stem), header)
    console, folder = Console(stderr=as_json), out or ROOT / "out" / "label" / job_name
    columns = {role: said for role, said in (("text", text_column), ("group", group_column)) if said}
    texts = _read(file, columns, Form(header, encoding), settings, folder)
    _tell_texts(file, texts, folder, console)
    if not texts.wanted:
        stop(f"{file} has no text that people could label", WRONG_OPTIONS)
    try:
        account = Account(settings, profile)
        texts = _known(account, texts, folder, console)
        chosen = _labels(account, labels)
        console.print(f"labels: {', '.join(chosen.labels.shown)}", highlight=False, markup=False)
        job = _job(account, job_name, texts, chosen)
        _confirm(settings, texts, job, yes=yes)
        standing = _run(job, texts, console, wait=wait, every=every)
        ended = _keep(account, folder, texts, standing, Asked(job_name, chosen))
        upload = None if ended.version is None else _upload(account, folder, ended.version, own=chosen.own)
    except NoAccount as error:
        stop(str(error), NO_ACCOUNT)
    except BotoCoreError as error:
        stop(f"AWS gave no answer ({error}): set credentials, and AWS_ENDPOINT_URL only for the embedded AWS", NO_ACCOUNT)
    except TableIsBusy as error:
        stop(f"{error}. Run the same command again in a while: it goes on where it was", FAILED)
    except ClientError as error:
        stop_refused(error)
    except OSError as error:
        stop(f"the results cannot be written ({error}): nobody's answer is lost. Run the same command again, with another --out", FAILED)
    except NoLabels as error:
        stop(str(error), WRONG_OPTIONS)
    except (NoStage, InvalidDataset) as error:
        stop(str(error), FAILED)
    _tell_end(folder, ended, upload or [], console)
    if as_json:
        document = {"job": job_name, "folder": str(folder), "texts": len(texts.wanted), "repeated": texts.repeated}
        counts = {"refused": len(texts.refused), **asdict(ended.counts)}
        print_json({**document, **counts, "dataset_version": ended.version, "imported": ended.imported, "problems": ended.problems})
    if ended.problems:
        raise typer.Exit(FAILED)
    if standing.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)


@dataclass(frozen=True)
class Form:
    """What the user said of the file's form."""

    header: str
    encoding: str | None


@dataclass(frozen=True)
class Chosen:
    """What people choose from. ``own``: these are other labels than the stage's, so the stage cannot take the answers."""

    labels: Labels
    own: bool


@dataclass(frozen=True)
class Asked:
    name: str
    chosen: Chosen


@dataclass(frozen=True)
class Ended:
    """What a run leaves. ``imported``: the counts of the stage's import, where there was one."""

    counts: Counts
    version: str | None
    imported: dict[str, Any] | None
    problems: list[str]


def _checked(stage: str, name: str, header: str) -> tuple[Settings, str]:
    """Anything that cannot be used ends the command with exit code 2."""
    settings = settings_of(stage)
    if not settings.labeling.enabled:
        stop(f"stage {stage} has labeling.enabled false, so nobody labels in bulk: set it to true and deploy", WRONG_OPTIONS)
    if fault := name_fault(name):
        stop(fault, WRONG_OPTIONS)
    if header not in ("auto", "yes", "no"):
        stop(f"--header {header!r}: allowed are auto, yes and no", WRONG_OPTIONS)
    return settings, name


def _read(file: Path, columns: Mapping[str, str], form: Form, settings: Settings, folder: Path) -> Texts:
    try:
        codec = None if form.encoding is None else codec_of(form.encoding)
        texts = read_texts(file, columns, header=form.header, longest=settings.dataset.max_text_chars, encoding=codec)
        write_refused(folder, texts.refused)
    except UnknownEncoding as error:
        stop(f"--encoding {error}", WRONG_OPTIONS)
    except UnreadableFile as error:
        stop(f"{file} {error}", WRONG_OPTIONS)
    except OSError as error:
        stop(f"{error.strerror}: {error.filename}. Name another FILE, or another folder with --out", WRONG_OPTIONS)
    return texts


def _known(account: Account, texts: Texts, folder: Path, console: Console) -> Texts:
    """The texts without those whose group shall be forgotten."""
    found = without(texts, forgotten_among(account, {one.subject for one in texts.wanted if one.subject is not None}))
    if gone := len(texts.wanted) - len(found.wanted):
        write_refused(folder, found.refused)
        console.print(f"{counted(gone, 'text')} left out: {FORGOTTEN}", highlight=False, markup=False, soft_wrap=True)
    if not found.wanted:
        stop("no text is left that people could label", WRONG_OPTIONS)
    return found


def _keep(account: Account, folder: Path, texts: Texts, standing: Standing, asked: Asked) -> Ended:
    """Write what there is so far, and give the stage its labels; a dataset version only once nobody is asked any more."""
    counts = counts_of(texts.wanted, standing.lines)
    manifest = write_manifest(folder, texts.wanted, standing.lines)
    problems, version, imported = ([standing.problem] if standing.problem else []), None, None
    if account.settings.labeling.backend == "hosted" and not asked.chosen.own and (counts.labelled or counts.undecided):
        imported = import_labels(account, asked.name, manifest)
    if not counts.open:
        try:
            version = write_version(folder, texts.wanted, standing.lines, asked.chosen.labels, asked.name).version
        except InvalidTexts as error:
            problems.append(f"no dataset version was made: {error}")
    return Ended(counts, version, imported, problems)


def _tell_texts(file: Path, texts: Texts, folder: Path, console: Console) -> None:
    """What is in the file, and every row that cannot be used, before anybody is asked."""
    console.print(f"{file}: {texts.read_as}", highlight=False, markup=False, soft_wrap=True)
    rows = len(texts.wanted) + texts.repeated + len(texts.refused)
    repeated = f"; {counted(texts.repeated, 'row')} repeat a text, which is asked once" if texts.repeated else ""
    refused = f"; {counted(len(texts.refused), 'row')} cannot be used" if texts.refused else ""
    console.print(
        f"{counted(rows, 'row')}: {counted(len(texts.wanted), 'text')} to label{repeated}{refused}", highlight=False, soft_wrap=True
    )
    kinds: dict[str, list[Refused]] = {}
    for one in texts.refused:
        kinds.setdefault(one.kind, []).append(one)
    for kind, found in kinds.items():
        more = f"    and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
        first = [f"    line {one.line}: {one.reason}" for one in found[:_NAMED]]
        for line in filter(None, (f"  {len(found):,} x {kind}", *first, more)):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if texts.refused:
        where = f"  all of them: {folder / REFUSED_ROWS}. To ask about a row, correct it in the file and run the same command again"
        console.print(where, highlight=False, markup=False, soft_wrap=True)


def _labels(account: Account, said: str | None) -> Chosen:
    """Raises NoLabels."""
    ours = stage_labels(account)
    if said is None:
        if ours is None:
            raise NoLabels('the stage has no labels yet: name them with --labels "Good,Bad", or upload a dataset version first')
        return Chosen(ours, own=False)
    given = given_labels(said)
    if ours is not None and set(given.ids) == set(ours.ids):
        return Chosen(ours, own=False)
    if account.settings.labeling.backend == "ground_truth":
        has = "no labels yet" if ours is None else f"the labels {', '.join(ours.ids)}"
        raise NoLabels(
            f"--labels {said!r}: Ground Truth shows the labels of the stage, which has {has}: leave --labels out, or pin them in "
            "dataset.labels and deploy"
        )
    return Chosen(given, own=True)


def _confirm(settings: Settings, texts: Texts, job: GroundTruthJob | HostedJob, *, yes: bool) -> None:
    gold = len(job.gold_tasks) if isinstance(job, HostedJob) else 0
    most = (len(texts.wanted) + gold) * settings.labeling.workers_per_object
    about = counted(len(texts.wanted), "text") + (f" and {counted(gold, 'gold task')}" if gold else "")
    question = f"Ask people about {about}, with at most {counted(most, 'answer')}, as the job {job.name}?"
    if not yes and not agreed(question):
        stop("nobody was asked: answer y, or give --yes", WRONG_OPTIONS)


def _job(account: Account, name: str, texts: Texts, chosen: Chosen) -> GroundTruthJob | HostedJob:
    """Gold texts are known by the stage's labels, so a job with other labels has none."""
    if account.settings.labeling.backend == "ground_truth":
        return GroundTruthJob(account, name, texts.wanted)
    table, terms = task_table(account), terms_of(account.settings)
    gold = table.gold(terms.team) if terms.gold_share and not chosen.own else []
    labels = chosen.labels.offering(account.settings.review.cannot_tell)
    return HostedJob(table, terms, labels, name, texts.wanted, time.time, gold)


def _run(job: Job, texts: Texts, console: Console, *, wait: bool, every: float) -> Standing:
    """Ask, then look until everything is labelled. An interruption (Ctrl-C) ends the asking or the looking, not the job.

    Raises:
        typer.Exit: it came while people were asked.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[more]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        asking = bar.add_task("asked", total=len(texts.wanted), more="")
        try:
            new = job.ask(lambda more: bar.advance(asking, more))
        except KeyboardInterrupt:
            stop(f"interrupted while people were asked, and nothing is lost. {_GO_ON}", ExitCode.INTERRUPTED)
        console.print(f"{counted(new, 'text')} asked about now, {len(texts.wanted) - new:,} before", highlight=False)
        labelling = bar.add_task("labelled", total=len(texts.wanted), more="")

        def show(standing: Standing) -> Standing:
            more = "" if standing.answers is None else counted(standing.answers, "answer")
            bar.update(labelling, completed=standing.done, more=more)
            return standing

        return _looked(lambda: show(job.look()), wait=wait, every=every)


def _looked(look: Callable[[], Standing], *, wait: bool, every: float) -> Standing:
    """While it waits, AWS may be busy or out of reach: then the next look tells more. People answer all the same."""
    standing = look()
    try:
        while standing.running and wait:
            time.sleep(every)
            with suppress(TableIsBusy):
                try:
                    standing = look()
                except (BotoCoreError, ClientError) as error:
                    if not passes(error):
                        raise
    except KeyboardInterrupt:
        standing = look()
        return replace(standing, interrupted=standing.running)
    return standing


def _tell_end(folder: Path, ended: Ended, upload: Sequence[str], console: Console) -> None:
    counts, version, problems = ended.counts, ended.version, ended.problems
    words = f"{counts.labelled:,} labelled, {counts.undecided:,} undecided, {counts.failed:,} without an answer, {counts.open:,} open"
    console.print(words, highlight=False)
    for problem in problems:
        console.print(problem, highlight=False, markup=False, soft_wrap=True, style="red")
    if ended.imported is not None and counts.undecided:
        console.print("A lead decides the undecided texts: `labels report` lists them, `labels correct` decides.", highlight=False)
    if counts.open and not problems:
        console.print(_GO_ON, highlight=False)
    if version is None:
        return
    for line in (f"output manifest: {folder / 'output.manifest'}", f"dataset version: {folder / 'datasets' / version}", *upload):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _upload(account: Account, folder: Path, version: str, *, own: bool) -> list[str]:
    """How to make it the first version. Where the stage has a version, this would begin anew, so only other labels are a reason for it."""
    begun, stage = (account.parameter("dataset") or "none") != "none", account.settings.stage
    if begun and not own:
        return [f"The stage {stage} has a dataset already. Its next retraining takes the labels that it lacks; do not upload this version."]
    if begun:
        first = f"The stage {stage} has a dataset with other labels. To begin anew with these (docs/operations.md, Other labels):"
    else:
        first = f"To make it the first version of the stage {stage}:"
    parameter, datasets = account.names.parameter("dataset"), f"s3://{account.names.bucket('data')}/datasets"
    return [
        first,
        f'  aws s3 cp --recursive {shlex.quote(str(folder / "datasets"))} "{datasets}"',
        f'  aws ssm put-parameter --overwrite --name {parameter} --value "{datasets}/{version}"',
    ]
