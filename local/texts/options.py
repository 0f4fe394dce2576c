"""The options that say how a team's own texts are read: the upload and the demo have the same ones (docs/own-texts.md)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.texts.codec_names import UnknownEncoding, codec_of

MOST_ROWS = 50_000
"""Most rows to train on by default: about half an hour of training on two cores."""
LEAST_ROWS = 100
ROLES = ("text", "label", "group", "slice", "split", "time", "votes")
CHOICES = {
    "header": ("auto", "yes", "no"),
    "on_conflict": ("refuse", "drop", "majority", "keep-first"),
    "long": ("refuse", "cut", "drop"),
    "on_bad": ("refuse", "drop"),
    "near_duplicates": ("join", "keep"),
}
"""Option -> what it may be, its default first."""
NO_COLUMN = "-"
"""What is said of a role that no column shall have, although one is called so."""


@dataclass(frozen=True)
class ReadingOptions:
    """How a file of texts is read.

    Attributes:
        text, label, group, slice, split, time: a column's name, or its number from 1. None: the column is guessed.
            ``text`` may name several columns, joined by ``+``. :data:`NO_COLUMN` reads none for a role, beside text and label.
        votes: a column with a JSON object of votes per label, or columns that are named by labels, separated by commas.
        encoding: Python's name of the files' encoding; None: it is recognised.
        header: whether the first record of a table names its columns; ``auto`` looks.
        on_conflict: what becomes of one text with different labels. ``refuse`` names them.
        long: what becomes of texts with more characters than ``dataset.max_text_chars``.
        on_bad: what becomes of records that cannot be used.
        near_duplicates: ``join`` puts texts that say nearly the same on one side of the split, ``keep`` only counts them.
        most_rows: of a larger file, a sample of this size is trained on.
        key_examples: a file of texts that every model must label right.
    """

    text: str | None = None
    label: str | None = None
    group: str | None = None
    slice: str | None = None
    split: str | None = None
    time: str | None = None
    votes: str | None = None
    encoding: str | None = None
    header: str = "auto"
    on_conflict: str = "refuse"
    long: str = "refuse"
    on_bad: str = "refuse"
    near_duplicates: str = "join"
    most_rows: int = MOST_ROWS
    key_examples: Path | None = None

    @property
    def columns(self) -> dict[str, str]:
        """Role -> what was said of its column."""
        said = {role: getattr(self, role) for role in ROLES}
        return {role: column for role, column in said.items() if column}


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options of :class:`ReadingOptions`; :func:`reading` reads them."""
    none = f"{NO_COLUMN} for a group, slice, split, time or votes: there is no such column, although one is called so"
    group = parser.add_argument_group("how the texts are read (docs/own-texts.md)", none)
    column = "name or number of the column"
    group.add_argument("--text", metavar="COLUMN", help=f"{column} with the texts; several are joined: title+body (default: guessed)")
    group.add_argument("--label", metavar="COLUMN", help=f"{column} with the labels (default: guessed)")
    group.add_argument("--group", metavar="COLUMN", help="what must not be split apart: a document, a customer (default: 'group')")
    group.add_argument("--slice", metavar="COLUMN", help="what the evaluation reports by (default: 'slice')")
    group.add_argument("--split", metavar="COLUMN", help="with train, validation or test (default: 'split'; without one: drawn)")
    group.add_argument(
        "--time", metavar="COLUMN", help="when a text was written, as a date or a number (default: 'date', 'time' and the like)"
    )
    group.add_argument("--votes", metavar="COLUMNS", help="a JSON object of votes per label, or columns named by labels: a,b,c")
    group.add_argument(
        "--encoding",
        type=_encoding,
        metavar="NAME",
        help="of the files, any that Python reads, such as cp1250 (default: UTF-8, UTF-16, Latin-1 and Windows-1252 are recognised)",
    )
    for name, allowed in CHOICES.items():
        group.add_argument(_flag(name), choices=allowed, default=allowed[0], help=_HELP[name] + f" (default: {allowed[0]})")
    group.add_argument("--most-rows", type=_rows, default=MOST_ROWS, metavar="N", help="rows to train on, at most (default: %(default)s)")
    group.add_argument("--key-examples", type=Path, metavar="FILE", help="labelled texts that every model must get right")


def reading(arguments: argparse.Namespace) -> ReadingOptions:
    """What :func:`add_reading` has parsed."""
    return ReadingOptions(**{name: getattr(arguments, name) for name in ReadingOptions.__dataclass_fields__})


def spelled(options: Mapping[str, str]) -> str:
    """Options as a user types them to a command, and to ``make``: ``--on-bad drop, or ON_BAD=drop with make``."""
    flags = " ".join(f"{_flag(name)} {value}" for name, value in options.items())
    return f"{flags}, or {' '.join(f'{name.upper()}={value}' for name, value in options.items())} with make"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


_HELP = {
    "header": "whether the first line of a table names its columns",
    "on_conflict": "one text with different labels",
    "long": "texts longer than dataset.max_text_chars",
    "on_bad": "records that cannot be read or used",
    "near_duplicates": "texts that say nearly the same: join keeps them on one side of the split, keep only counts them",
}


def _encoding(value: str) -> str:
    try:
        return codec_of(value)
    except UnknownEncoding as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rows(value: str) -> int:
    if not value.isascii() or not value.isdecimal() or int(value) < LEAST_ROWS:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of rows: a whole number from {LEAST_ROWS}")
    return int(value)
