"""Rows in a file, with an index in memory: a dataset of any size is frozen in the memory that its index takes.

A row's text stays on disk. What decides where a row belongs is its :class:`Entry`: identity, group, and a digest of the
normalised text.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from sys import intern

from contracts.dataset import Manifest, Row
from contracts.dataset_files import parse_rows
from contracts.shared_words import SUGGESTED
from contracts.text import normal_text
from lambdas.common.review import MODEL_PRIOR
from lambdas.retraining.new_labels import FROM_A_JOB

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """What must be known of a row to place it; ``text`` is :func:`text_key`, the row's bytes are ``length`` at ``offset``."""

    id: str
    text: bytes
    group: str
    offset: int
    length: int
    suggested: bool = False
    """Somebody saw the model's label beside the text when they gave the row's label."""
    with_prior: bool = False
    """The model's answer had a part in how many people were asked, and in the label (``review.answers.adaptive``)."""
    other_groups: tuple[str, ...] = ()
    job_label: str = ""
    """The row's label when a first version was made of a labelling job; else empty."""

    @property
    def groups(self) -> tuple[str, ...]:
        """All whom the row is about."""
        return (self.group, *self.other_groups)


class RowFile:
    """The rows of one file, in the order of the file. ``entries`` says of each row where it is.

    Args:
        path: the file; it is made when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = []
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = 0

    @classmethod
    def of(cls, path: Path, where: str) -> RowFile:
        """The index of a file that is there. Raises InvalidDataset, naming ``where`` and the line."""
        entries, size = [], 0
        with path.open("rb") as stream:
            for row in parse_rows(iter(stream.readline, b""), where):
                end = stream.tell()
                entries.append(_entry(row, size, end - size))
                size = end
        found = cls(path)
        found.entries, found._size = entries, size
        return found

    def append(self, row: Row) -> Entry:
        """Write one more row."""
        line = row.to_json().encode() + b"\n"
        os.pwrite(self._descriptor, line, self._size)
        entry = _entry(row, self._size, len(line))
        self._size += len(line)
        self.entries.append(entry)
        return entry

    def read(self, entry: Entry) -> Row:
        """The whole row."""
        (row,) = parse_rows([os.pread(self._descriptor, entry.length, entry.offset)], self._path.name)
        return row

    def rows(self) -> Iterator[Row]:
        """All rows, one at a time."""
        return (self.read(entry) for entry in self.entries)

    def remove(self) -> None:
        """Close and delete the file."""
        os.close(self._descriptor)
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Version:
    """One dataset version on disk: its manifest, the rows of each split, and its key examples when it has any."""

    manifest: Manifest
    splits: dict[str, RowFile]
    key_examples: RowFile | None = None

    def remove(self) -> None:
        """Close and delete its files."""
        for rows in (*self.splits.values(), self.key_examples):
            if rows is not None:
                rows.remove()


def text_key(text: str) -> bytes:
    """Equal for texts that count as the same."""
    return hashlib.sha256(normal_text(text).encode("utf-8", "surrogatepass")).digest()[:_DIGEST_BYTES]


def _entry(row: Row, offset: int, length: int) -> Entry:
    basis = row.label_basis or {}
    label = intern(row.label) if row.source.startswith(f"{FROM_A_JOB}:") else ""
    return Entry(
        row.id,
        text_key(row.text),
        intern(row.group),
        offset,
        length,
        bool(basis.get(SUGGESTED)),
        MODEL_PRIOR in basis,
        tuple(map(intern, row.other_groups)),
        label,
    )


def texts_of(entries: Iterable[Entry]) -> set[bytes]:
    return {entry.text for entry in entries}
