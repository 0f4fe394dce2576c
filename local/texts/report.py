"""What became of a file of texts, for the console and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class FileRead:
    """How one file was read.

    Attributes:
        delimiter: in words; empty where there is none.
        header: whether the first record named the columns; None where there are no such records.
        records: all of them, usable or not.
    """

    name: str
    encoding: str
    delimiter: str
    header: bool | None
    records: int


@dataclass(frozen=True)
class ReadingReport:
    """What was read and chosen.

    Attributes:
        files: each file that was read.
        columns: role (text, label, ...) -> the columns that have it.
        guessed: the roles whose columns were guessed.
        ignored: columns that have no role.
        left_out: reason -> records that are in no split.
        changed: reason -> rows that are in a split with a change, for example cut texts.
        warnings: what should be known of splits, rare classes and labels.
        rows: split -> rows.
    """

    files: tuple[FileRead, ...]
    columns: Mapping[str, tuple[str, ...]]
    guessed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """The report for the console, a sentence or a few words per line."""
        said = []
        for file in self.files:
            separated = f", separated by {file.delimiter}" if file.delimiter else ""
            header = ", no line with column names (--header yes says otherwise)" if file.header is False else ""
            said.append(f"{file.name}: {file.records:,} records, {file.encoding}{separated}{header}")
        for role, names in self.columns.items():
            columns = " + ".join(name if name.startswith("column ") else f"column {name!r}" for name in names)
            said.append(f"{role}: {columns}" + (f" (guessed; --{role} says otherwise)" if role in self.guessed else ""))
        if self.ignored:
            said.append(f"ignored columns: {', '.join(self.ignored)}")
        said += [f"left out: {count:,} {reason}" for reason, count in self.left_out.items() if count]
        said += [f"changed: {count:,} {reason}" for reason, count in self.changed.items() if count]
        return [*said, *self.warnings]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
