"""The commands ``review gold set`` and ``review gold results``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.account import Account
from cli.console import WRONG_OPTIONS, AsJson, Profile, Stage, errors_as_sentences, print_json, settings_of, stop
from cli.gold.texts import BadGold, read_gold
from cli.label.stage import stage_labels, task_table
from stacks.names import REVIEWERS
from stacks.settings import Settings

_MOST_PEOPLE = 1_000


def set_gold(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A table (or .jsonl, .parquet) with the columns text and label")],
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Store gold texts, whose label is known. They replace the earlier ones. review.gold_share says how many tasks they are mixed into."""
    settings = _hosted(stage)
    with errors_as_sentences():
        account = Account(settings, profile)
        labels = stage_labels(account)
        if labels is None:
            stop("the stage has no labels yet: set dataset.labels, or upload a dataset version first", WRONG_OPTIONS)
        try:
            texts = read_gold(file, labels, longest=settings.dataset.max_text_chars)
        except BadGold as error:
            stop(str(error), WRONG_OPTIONS)
        task_table(account).put_gold(REVIEWERS, texts)
    counts = Counter(one.label for one in texts)
    if as_json:
        print_json({"texts": len(texts), "labels": dict(sorted(counts.items())), "gold_share": settings.review.gold_share})
        return
    typer.echo(f"{len(texts)} gold texts: {', '.join(f'{count} {label}' for label, count in sorted(counts.items()))}")
    if not settings.review.gold_share:
        typer.echo("review.gold_share is 0, so nobody gets a gold task yet: set it, and deploy the review stack")


def results(stage: Stage = "dev", profile: Profile = None, as_json: AsJson = False) -> None:
    """Show for each person how many gold tasks they answered, and how many of these answers are right."""
    settings = _hosted(stage)
    with errors_as_sentences():
        people = [one for one in task_table(Account(settings, profile)).people(REVIEWERS, _MOST_PEOPLE) if one.gold_answered]
    people.sort(key=lambda one: (one.gold_right / one.gold_answered, one.name))
    if as_json:
        print_json([{name: asdict(one)[name] for name in ("name", "gold_answered", "gold_right", "answered")} for one in people])
        return
    if not people:
        typer.echo("no gold task has been answered to its end yet")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("name", "right", "gold tasks", "share"):
        table.add_column(title, overflow="fold")
    for one in people:
        table.add_row(escape(one.name), str(one.gold_right), str(one.gold_answered), f"{one.gold_right / one.gold_answered:.0%}")
    Console().print(table)


def _hosted(stage: str) -> Settings:
    settings = settings_of(stage)
    if settings.review.backend != "hosted":
        stop(
            f"stage {stage} has review.backend {settings.review.backend!r}, and only the hosted page has gold tasks: "
            "use review.backend 'hosted'",
            WRONG_OPTIONS,
        )
    return settings
