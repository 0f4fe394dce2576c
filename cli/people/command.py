"""The commands ``review people list``, ``add``, ``invite``, ``reset-authenticator`` and ``remove``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.account import Account
from cli.console import WRONG_OPTIONS, AsJson, Profile, Stage, agreed, errors_as_sentences, not_deployed, print_json, settings_of, stop
from cli.people import changes
from cli.people.changes import email_fault, known, name_fault
from cli.people.pool import Person, UserPool
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.review_page.sessions import Sessions, worker_id_of
from stacks.names import LEADS, REVIEWERS
from stacks.settings import Settings

Name = Annotated[str, typer.Argument(help="The user name with which the person signs in")]


def list_people(stage: Stage = "dev", profile: Profile = None, as_json: AsJson = False) -> None:
    """Show everybody in the stage's user pool: name, mail address, groups, status, and whether a second factor is set up."""
    settings = _with_people(stage)
    with errors_as_sentences():
        people = _pool(Account(settings, profile)).people()
    if as_json:
        print_json([_document(person) for person in people])
        return
    if not people:
        typer.echo(f"nobody is in the user pool of stage {settings.stage} yet: `review people add NAME --email ADDRESS`")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("name", "e-mail", "groups", "status", "enabled", "MFA"):
        table.add_column(title, overflow="fold")  # a name that is cut off cannot be used
    for person in people:
        row = (person.name, person.email, ", ".join(person.groups), person.status, _yes(person.enabled), _yes(person.mfa))
        table.add_row(*(escape(cell) or "-" for cell in row))
    Console().print(table)


def add(  # noqa: PLR0917  (typer passes every option by its name)
    name: Name,
    email: Annotated[str, typer.Option(help="Where the temporary password is mailed to")],
    lead: Annotated[bool, typer.Option("--lead", help="Also lead the others (review.backend: hosted)")] = False,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Make an account for a reviewer; Cognito mails the temporary password. Somebody who is there is enabled and put in the groups."""
    settings = _with_people(stage, name)
    if fault := email_fault(email):
        stop(fault, WRONG_OPTIONS)
    if lead and settings.review.backend != "hosted":
        stop(
            f"--lead: review.backend {settings.review.backend!r} has no leads: leave --lead out, or use review.backend 'hosted'",
            WRONG_OPTIONS,
        )
    with errors_as_sentences():
        pool = _pool(Account(settings, profile))
        done = changes.add(pool, name, email, (REVIEWERS, LEADS) if lead else (REVIEWERS,))
        _tell(known(pool, name), done, pool, as_json=as_json)


def invite(name: Name, stage: Stage = "dev", profile: Profile = None, as_json: AsJson = False) -> None:
    """Mail another temporary password to somebody who never signed in. Says so when they have signed in."""
    settings = _with_people(stage, name)
    with errors_as_sentences():
        pool = _pool(Account(settings, profile))
        done = changes.invite(pool, name)
        _tell(known(pool, name), done, pool, as_json=as_json)


def reset_authenticator(name: Name, stage: Stage = "dev", profile: Profile = None, as_json: AsJson = False) -> None:
    """Sign somebody out who has lost the authenticator app, and let them set up another one. They stay the same person."""
    settings = _with_people(stage, name)
    with errors_as_sentences():
        account = Account(settings, profile)
        pool = _pool(account)
        done = changes.reset_authenticator(pool, name, partial(_end_sessions, account))
        person = known(pool, name)
    if as_json:
        print_json({**_document(person), "changes": done})
        return
    _echo(person.name, done)


def remove(  # noqa: PLR0917  (typer passes every option by its name)
    name: Name,
    disable: Annotated[bool, typer.Option("--disable", help="Keep the account, disabled, instead of deleting it")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove without asking; for pipelines")] = False,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Take somebody out of the groups, sign them out everywhere, and delete or disable the account. Their answers stay.

    A deleted account that is added again is another person, who may answer the same tasks once more; a disabled one stays the same.
    Says what they hold before it asks.
    """
    settings = _with_people(stage, name)
    with errors_as_sentences():
        account = Account(settings, profile)
        pool = _pool(account)
        person = known(pool, name)
        tasks = _tasks_in_hand(account, person)
        for sentence in _holding(settings, person, tasks):
            typer.echo(sentence, err=as_json)
        if not yes and not agreed(f"{'Disable' if disable else 'Delete'} {person.name}?"):
            stop("nothing was changed: answer y, or give --yes", WRONG_OPTIONS)
        done = changes.remove(pool, person, partial(_end_sessions, account), keep=disable)
    if as_json:
        print_json({"name": person.name, "held": {"groups": list(person.groups), "tasks": tasks}, "changes": done})
        return
    _echo(person.name, done)


def _with_people(stage: str, name: str | None = None) -> Settings:
    """The settings of a stage that has people of its own. Anything else, and a bad name, ends the command with exit code 2."""
    settings = settings_of(stage)
    review = settings.review
    if review.backend == "none":
        stop(f"stage {stage} has review.backend 'none': nobody is asked, and there is no user pool", WRONG_OPTIONS)
    if review.workforce.mode == "import":
        stop(
            f"stage {stage} imports the work team {review.workforce.workteam_arn}: its people are in that team's own user pool "
            "(`aws sagemaker describe-workteam` names it)",
            WRONG_OPTIONS,
        )
    if name is not None and (fault := name_fault(name)):
        stop(fault, WRONG_OPTIONS)
    return settings


def _pool(account: Account) -> UserPool:
    """The user pool that the review stack made."""
    name = account.names.stack("review")
    stack = account.stack(name)
    outputs = {one["OutputKey"]: one["OutputValue"] for one in (stack or {}).get("Outputs", ())}
    if "UserPoolId" not in outputs:
        stop(not_deployed(name, account.settings.stage), WRONG_OPTIONS)
    return UserPool(account, outputs["UserPoolId"], outputs.get("ReviewPageUrl"))


def _end_sessions(account: Account, person: Person) -> None:
    """Those of the page, which has sessions of its own. A2I's portal has tokens of the user pool only."""
    if account.settings.review.backend == "hosted":
        Sessions(_review_tasks(account), REVIEWERS).end_all(person.sub)


def _review_tasks(account: Account) -> Any:
    return account.session.resource("dynamodb").Table(account.names.review_tasks_table)


def _tasks_in_hand(account: Account, person: Person) -> list[str]:
    """Ids of the tasks that the person holds now. SageMaker tells nobody which of A2I's tasks somebody holds."""
    settings = account.settings
    if settings.review.backend != "hosted":
        return []
    table, worker = TaskTable(_review_tasks(account), settings.retention.review_days), worker_id_of(person.sub)
    desk, now = table.desk(worker), int(time.time() * 1_000)
    held = [table.task(task_id) for task_id in (desk.in_work, desk.ahead) if task_id is not None]
    return [task.task_id for task in held if task is not None and task.lease_of(worker, now) is not None]


def _holding(settings: Settings, person: Person, tasks: Sequence[str]) -> Iterator[str]:
    groups = f"in the group{'s' if len(person.groups) > 1 else ''} {' and '.join(person.groups)}" if person.groups else "in no group"
    yield f"{person.name} ({person.email or 'no mail address'}, {person.status}) is {groups}."
    returns = f"others get them at the latest when their time is up ({settings.review.task_time_limit_seconds} s)"
    if tasks:
        yield f"They hold {len(tasks)} task{'s' if len(tasks) > 1 else ''} ({', '.join(tasks)}); {returns}."
    elif settings.review.backend == "hosted":
        yield "They hold no task."
    else:
        yield f"No call of SageMaker says which tasks they hold; {returns}."


def _document(person: Person) -> dict[str, Any]:
    return {key: value for key, value in asdict(person).items() if key != "sub"}


def _tell(person: Person, done: Sequence[str], pool: UserPool, *, as_json: bool) -> None:
    if as_json:
        print_json({**_document(person), "changes": list(done)})
        return
    _echo(person.name, done or ["nothing to do; the account is enabled and in its groups"])
    if done and pool.sign_in_url:
        typer.echo(f"The mail has no address in it. They sign in at {pool.sign_in_url}")


def _echo(name: str, done: Sequence[str]) -> None:
    for sentence in done:
        typer.echo(f"{name}: {sentence}")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
