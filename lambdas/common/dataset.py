"""Dataset versions as the functions read and write them: rows, manifest, content hash.

The form is docs/contracts.md, "Dataset row". The training code reads the same bytes: forms by the same rule
(:mod:`lambdas.common.dataset_form`), files with a reader of its own, since a container and a function share no code.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lambdas.common.dataset_form import SPLITS, InvalidDataset, Manifest, ReferenceText, Row, version_of
from lambdas.common.text import json_lines, normal_text

__all__ = [
    "REFERENCE", "SPLITS", "Dataset", "InvalidDataset", "Manifest", "ReferenceText", "Row",
    "check_file", "file_name", "normal_text", "parse_rows", "render", "version_of",
]  # fmt: skip
REFERENCE = "reference"


@dataclass(frozen=True)
class Dataset:
    """One version in memory: its manifest, and the rows of each split."""

    manifest: Manifest
    splits: Mapping[str, tuple[Row, ...]]


def file_name(split: str) -> str:
    """Key of a split's file, or of the reference's, below the version's prefix."""
    return f"{split}/data.jsonl"


def parse_rows(data: bytes, where: str) -> tuple[Row, ...]:
    """The rows of one file.

    Raises:
        InvalidDataset: naming file and line.
    """
    return tuple(Row.parse(line, f"{where}:{number}") for number, line in json_lines(data.split(b"\n")))


def check_file(data: bytes, name: str, manifest: Manifest) -> bytes:
    """The file, if it is the one the manifest names.

    Raises:
        InvalidDataset: it was changed since.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != manifest.files.get(name):
        raise InvalidDataset(f"{name} has SHA-256 {found}, but the manifest of version {manifest.version} says {manifest.files.get(name)}")
    return data


def render(
    splits: Mapping[str, Iterable[Row]],
    labels: Iterable[str],
    *,
    parent: str | None,
    watermark: str | None,
    reference: Iterable[ReferenceText] = (),
) -> tuple[Manifest, dict[str, bytes]]:
    """A version's manifest and its files by name. Rows are sorted: equal rows give equal bytes and an equal version.

    Without a ``reference`` there is no such file.
    """
    kept = {split: sorted(splits[split], key=lambda row: row.id) for split in SPLITS}
    lines: dict[str, list[str]] = {split: [row.to_json() for row in rows] for split, rows in kept.items()}
    served = sorted(item.to_json() for item in reference)
    if served:
        lines[REFERENCE] = served
    files = {file_name(name): "".join(line + "\n" for line in found).encode() for name, found in lines.items()}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    everything = [row for rows in kept.values() for row in rows]
    manifest = Manifest(
        version=version_of(hashes),
        parent=parent,
        labels=tuple(labels),
        rows={split: len(rows) for split, rows in kept.items()},
        by_slice=dict(sorted(Counter(row.slice for row in everything).items())),
        by_source=dict(sorted(Counter(row.source.split(":")[0] for row in everything).items())),
        files=hashes,
        watermark=watermark,
    )
    return manifest, files
