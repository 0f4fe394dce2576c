"""The commands ``labels export``, ``labels report``, ``labels correct`` and ``labels forget``."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.account import Account, NoAccount
from cli.console import FAILED, NO_ACCOUNT, WRONG_OPTIONS, AsJson, Profile, Stage, agreed, print_json, settings_of, stop, stop_refused
from cli.label.stage import stage_labels
from cli.labels import report as consistency
from cli.labels import report_page, stores
from cli.labels.export import Format, write
from contracts.amendments import CORRECT, CORRECTED, FORGET, Amendment, InvalidAmendment, group_digest, moment
from contracts.dataset import InvalidDataset
from contracts.labels import listed
from contracts.phrases import counted
from contracts.text import InvalidText, checked_text
from lambdas.common.batch_get import TableIsBusy
from lambdas.common.predictions import InvalidPrediction
from lambdas.common.review import is_prediction_id


def export(
    form: Annotated[
        Format, typer.Option("--format", help="jsonl: everything; manifest: Ground Truth's form; csv: for a spreadsheet")
    ] = Format.JSONL,
    out: Annotated[Path | None, typer.Option(help="A file (default: standard output)")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only labels stored or corrected after this time, such as 2026-11-23 or 2026-11-23T10:00Z")
    ] = None,
    stage: Stage = "dev",
    profile: Profile = None,
) -> None:
    """Write people's labels with their provenance: who said what, by pseudonym, which model said what, by which guidelines, when."""
    settings, after = settings_of(stage), None if since is None else _moment(since)
    with _said():
        records = stores.Stage(Account(settings, profile)).exported(after)
        if out is None:
            if isinstance(sys.stdout, TextIOWrapper):  # what reads it expects UTF-8, whatever the terminal has
                sys.stdout.reconfigure(encoding="utf-8", newline="")
            count = write(records, form, sys.stdout)
        else:
            with _whole(out) as stream:
                count = write(records, form, stream)
    typer.echo(f"{counted(count, 'label')}{'' if out is None else f' in {out}'}", err=True)


def report(
    html: Annotated[Path | None, typer.Option(help="Also write the report as a page")] = None,
    since: Annotated[str | None, typer.Option(help="Only reviews stored after this time, as for export")] = None,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Report how far people agree about each label, where labels contradict each other, and how much a shown label sways people."""
    settings, after = settings_of(stage), None if since is None else _moment(since)
    with _said():
        found = stores.Stage(Account(settings, profile))
        made = consistency.report(found.labelled(after), found.disputed(after))
        if html is not None:
            with _whole(html) as stream:
                stream.write(report_page.page(made))
    if as_json:
        print_json(made.document())
        return
    for line in report_page.lines(made):
        typer.echo(line)


def correct(  # noqa: PLR0917  (typer passes every option by its name)
    row: Annotated[str, typer.Argument(metavar="ID", help="Of the prediction, or of a dataset row, as labels export says it")],
    label: Annotated[str, typer.Argument(help="The right label, by id or name")],
    reason: Annotated[str, typer.Option(help="Why; it is kept with the label")],
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Correct a label: at once in the record of the prediction, and in the next dataset version, whichever split the row is in."""
    settings = settings_of(stage)
    try:
        why = checked_text("--reason", reason, longest=500)
    except InvalidText as error:
        stop(str(error), WRONG_OPTIONS)
    with _said():
        account = Account(settings, profile)
        found = stores.Stage(account)
        labels = stage_labels(account)
        right = None if labels is None else labels.id_of(label)
        if labels is None or right not in labels.ids:
            known = "none, since there is no dataset version yet" if labels is None else listed(labels.ids)
            stop(f"LABEL {label!r}: the stage's labels are {known}", WRONG_OPTIONS)
        target = row if ":" in row else f"{stores.ROW}{row}"
        name = target.removeprefix(stores.ROW)
        stored = found.store.get(name) if target.startswith(stores.ROW) and is_prediction_id(name) else None
        rows = [one for one in found.dataset_rows() if one.row.id == target]
        splits = sorted({one.split for one in rows})
        if not splits and (stored is None or stored.reviewed_at is None):
            stop(
                f"ID {row!r}: no row of the current dataset version and no reviewed prediction has it. `labels export` names the ids "
                "of labels, and `labels report` those of disputed reviews",
                WRONG_OPTIONS,
            )
        at = _after([one.row.label_basis for one in rows] + ([] if stored is None else [stored.label_basis]))
        change = Amendment(CORRECT, at, _pseudonym(account), target, right, why)
        found.amend(change)
        reviewed = stored if stored is not None and stored.reviewed_at is not None else None
        changed = reviewed is not None and found.correct(reviewed, change)
    document = {"id": target, "label": right, "by": change.by, "at": change.at, "record": changed, "splits": splits}
    if as_json:
        print_json(document)
    if reviewed is not None and not changed:
        stop(
            f"{target} has its label still: the record changed meanwhile. The correction is kept as {change.key}, so a row of it gets "
            f"{right} in the next dataset version; if the record shall have it, too, run the command again",
            FAILED,
        )
    if as_json:
        return
    where = [*(["the record has it now"] if changed else []), *(f"the row in {split} has it in the next version" for split in splits)]
    typer.echo(f"{target}: {right}; {'; '.join(where)}")


def forget(
    subject: Annotated[str, typer.Argument(help="Whose data goes: the subject that callers gave, or the group of uploaded texts")],
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking; for pipelines")] = False,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Delete what is kept about a person: predictions, review tasks and answers now, dataset rows with the next version."""
    settings = settings_of(stage)
    if not subject.strip():
        stop("SUBJECT '': name somebody", WRONG_OPTIONS)
    with _said():
        account = Account(settings, profile)
        found = stores.Stage(account)
        records = found.of_subject(subject)
        found.tasks_about(subject)  # whoever may not read the tasks learns it before anything is deleted
        digest = stores.digest_of(subject)
        rows = sum(digest in map(group_digest, one.row.groups) for one in found.dataset_rows())
        typer.echo(
            f"about {subject}: {counted(len(records), 'prediction')}, and {counted(rows, 'row')} of the current dataset version",
            err=as_json,
        )
        if not yes and not agreed("Delete them? This cannot be taken back."):
            stop("nothing was deleted: answer y, or give --yes", WRONG_OPTIONS)
        # First the amendment, so that rows go even if this command is interrupted. Then look again: somebody may have taken long to agree.
        change = Amendment(FORGET, _now(), _pseudonym(account), digest)
        found.amend(change)
        forgotten = found.forgotten(change.at)
        found.forget_subject(subject, forgotten)
        records = found.of_subject(subject)
        tasks = sum(found.delete(one, forgotten) for one in records) + sum(map(found.delete_task, found.tasks_about(subject)))
    if as_json:
        print_json({"predictions": len(records), "tasks": tasks, "rows": rows, "by": change.by, "at": change.at, "record": change.key})
        return
    waits = f"; a retraining makes it once {settings.retraining.min_new_labels} new labels are there" if rows else ""
    typer.echo(
        f"deleted {counted(len(records), 'prediction')} and {counted(tasks, 'review task')}; the next dataset version leaves "
        f"{counted(rows, 'row')} out{waits}"
    )
    typer.echo(f"recorded as {change.key}, without the name. Captured data and older versions: docs/operations.md, Forgetting a person")


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A file that is there as a whole or not at all; its folder is made.

    Raises:
        OSError: it cannot be written; the error has its name.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        unfinished.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _moment(said: str) -> str:
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        stop(f"--since {said!r} is no time: give one such as 2026-11-23 or 2026-11-23T10:00Z", WRONG_OPTIONS)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _after(bases: Iterable[Mapping[str, Any] | None]) -> str:
    """Now, or right after the newest correction that is there: another operator's clock may be ahead, and the newer correction counts."""
    known = [moment(str(one["at"])) + timedelta(milliseconds=1) for one in bases if one and one.get("method") == CORRECTED]
    return max([moment(_now()), *known]).isoformat(timespec="milliseconds")


def _pseudonym(account: Account) -> str:
    """Who called, so that two changes by one person can be told to be that, and no name is kept."""
    return f"operator-{hashlib.sha256(account.identity['Arn'].encode()).hexdigest()[:12]}"


@contextmanager
def _said() -> Iterator[None]:
    """What AWS refuses, and an AWS out of reach, end the command with a sentence and the exit code of docs/commands.md."""
    try:
        yield
    except NoAccount as error:
        stop(str(error), NO_ACCOUNT)
    except BotoCoreError as error:
        stop(f"AWS gave no answer ({error}): set credentials, and AWS_ENDPOINT_URL only for the embedded AWS", NO_ACCOUNT)
    except OSError as error:
        stop(f"{error.filename} cannot be written: {error.strerror}; name another", WRONG_OPTIONS)
    except ClientError as error:
        stop_refused(error)
    except (InvalidAmendment, InvalidDataset, InvalidPrediction, TableIsBusy) as error:
        stop(str(error), FAILED)
