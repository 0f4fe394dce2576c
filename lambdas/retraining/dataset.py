"""Dataset versions as the functions read and write them: rows, manifest, content hash.

The form is docs/contracts.md, "Dataset row". The training code reads the same bytes: forms by the same rule
(:mod:`lambdas.common.dataset_form`), files with a reader of its own, since a container and a function share no code.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lambdas.common.dataset_form import SPLITS, InvalidDataset, Manifest, ReferenceText, Row, version_of
from lambdas.common.text import json_lines, normal_text

__all__ = [
    "REFERENCE", "SPLITS", "InvalidDataset", "Manifest", "ReferenceText", "Row",
    "check_hash", "file_name", "normal_text", "parse_rows", "version_of", "write_version",
]  # fmt: skip
REFERENCE = "reference"


def file_name(split: str) -> str:
    """Key of a split's file, or of the reference's, below the version's prefix."""
    return f"{split}/data.jsonl"


def parse_rows(lines: Iterable[bytes], where: str) -> Iterator[Row]:
    """The rows of one file, line by line; a line ends with a line feed and nothing else.

    Raises:
        InvalidDataset: naming file and line.
    """
    for number, line in json_lines(lines):
        yield Row.parse(line, f"{where}:{number}")


def check_hash(found: str, name: str, manifest: Manifest) -> None:
    """Raises InvalidDataset when a file, by its SHA-256, is not the one that the manifest names: it was changed since."""
    if found != manifest.files.get(name):
        raise InvalidDataset(f"{name} has SHA-256 {found}, but the manifest of version {manifest.version} says {manifest.files.get(name)}")


def write_version(
    folder: Path,
    splits: Mapping[str, Iterable[Row]],
    labels: Iterable[str],
    *,
    parent: str | None,
    watermark: str | None,
    reference: Iterable[ReferenceText] = (),
) -> tuple[Manifest, dict[str, Path]]:
    """Write a version's files below ``folder``, a row at a time; returns its manifest, and the files by name.

    Without a ``reference`` there is no such file.

    Args:
        splits: rows sorted by id: equal rows give equal bytes and an equal version.
    """
    rows: Counter[str] = Counter()
    by_slice: Counter[str] = Counter()
    by_source: Counter[str] = Counter()

    def counted(split: str) -> Iterator[str]:
        for row in splits[split]:
            rows[split] += 1
            by_slice[row.slice] += 1
            by_source[row.source.split(":")[0]] += 1
            yield row.to_json()

    written = {split: _write_lines(folder / f"{split}.jsonl", counted(split)) for split in SPLITS}
    served = sorted(item.to_json() for item in reference)
    if served:
        written[REFERENCE] = _write_lines(folder / f"{REFERENCE}.jsonl", served)
    hashes = {file_name(name): digest for name, digest in written.items()}
    manifest = Manifest(
        version=version_of(hashes),
        parent=parent,
        labels=tuple(labels),
        rows={split: rows[split] for split in SPLITS},
        by_slice=dict(sorted(by_slice.items())),
        by_source=dict(sorted(by_source.items())),
        files=hashes,
        watermark=watermark,
    )
    return manifest, {file_name(name): folder / f"{name}.jsonl" for name in written}


def _write_lines(path: Path, lines: Iterable[str]) -> str:
    """Returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for line in lines:
            data = line.encode() + b"\n"
            digest.update(data)
            stream.write(data)
    return digest.hexdigest()
