"""Dataset versions as files: read with a check of every hash, written a row at a time.

Form: docs/contracts.md, "Dataset row". A version's folder has ``<split>/data.jsonl`` for each split, ``reference/data.jsonl`` where
there is a reference, ``key-examples/data.jsonl`` where there are key examples, and ``manifest.json``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from contracts.amendments import Known
from contracts.dataset import SPLITS, InvalidDataset, Manifest, ReferenceText, Row, version_of
from contracts.text import json_lines

REFERENCE = "reference"
KEY_EXAMPLES = "key-examples"
"""Rows that every model must label right. They are in no split, so nothing is trained on them."""
MANIFEST = "manifest.json"


def file_name(split: str) -> str:
    """Key of the file of a split, of the reference or of the key examples, below the version's prefix."""
    return f"{split}/data.jsonl"


def parse_rows(lines: Iterable[bytes], where: str) -> Iterator[Row]:
    """The rows of one file, line by line; a line ends with a line feed and nothing else.

    Raises:
        InvalidDataset: naming file and line.
    """
    for number, line in json_lines(lines):
        yield Row.parse(line, f"{where}:{number}")


def read_rows(folder: Path) -> list[Row]:
    """All rows of ``<folder>/data.jsonl``, which is how a container's channel holds a split.

    Raises:
        InvalidDataset: the file is missing, empty, or a line is not a row.
    """
    path = folder / "data.jsonl"
    if not path.exists():
        raise InvalidDataset(f"{path} does not exist: the channel must hold data.jsonl")
    with path.open("rb") as stream:
        rows = list(parse_rows(stream, path.name))
    if not rows:
        raise InvalidDataset(f"{path} has no row")
    return rows


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest and check every file against its hash.

    Raises:
        InvalidDataset: no manifest or one of another form, or a file differs from what the manifest says.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise InvalidDataset(f"{path} does not exist: {folder} is not a dataset version")
    manifest = Manifest.parse(path.read_bytes(), path.name)
    for name in manifest.files:
        file = folder / name
        check_hash(hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "missing", name, manifest)
    return manifest


def check_hash(found: str, name: str, manifest: Manifest) -> None:
    """Raises InvalidDataset: the SHA-256 of a file differs from the manifest's, so the file was changed after the version was made."""
    if found != manifest.files.get(name):
        raise InvalidDataset(f"{name} has SHA-256 {found}, but the manifest of version {manifest.version} says {manifest.files.get(name)}")


def write_dataset(
    folder: Path,
    splits: Mapping[str, Iterable[Row]],
    labels: Sequence[str],
    *,
    label_names: Mapping[str, str] | None = None,
    key_examples: Iterable[Row] = (),
) -> Manifest:
    """Write a whole first version into ``folder``, the manifest last.

    Rows are sorted by id, so the version does not depend on their order.
    """
    ordered = {name: _by_id(splits[name]) for name in SPLITS}
    manifest, _ = write_version(
        folder, ordered, labels, parent=None, watermark=None, label_names=label_names, key_examples=_by_id(key_examples)
    )
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def write_version(
    folder: Path,
    splits: Mapping[str, Iterable[Row]],
    labels: Iterable[str],
    *,
    parent: str | None,
    watermark: str | None,
    reference: Iterable[ReferenceText] = (),
    label_names: Mapping[str, str] | None = None,
    key_examples: Iterable[Row] = (),
    known: Known | None = None,
) -> tuple[Manifest, dict[str, Path]]:
    """Write a version's files below ``folder``, a row at a time; returns its manifest, and the files by name.

    The manifest itself is not written: whoever stores a version writes it last. Without a ``reference`` or without ``key_examples``
    there is no such file.

    Args:
        splits: rows sorted by id: equal rows give equal bytes and an equal version.
        label_names: what people see of a label; those that are their own name are left out.
        key_examples: rows sorted by id; the manifest's counts leave them out.
        known: the amendments that the rows have.
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

    files = {file_name(split): folder / file_name(split) for split in SPLITS}
    hashes = {file_name(split): _write_lines(files[file_name(split)], counted(split)) for split in SPLITS}
    served = sorted(item.to_json() for item in reference)
    if served:
        name = file_name(REFERENCE)
        files[name] = folder / name
        hashes[name] = _write_lines(files[name], served)
    examples = iter(key_examples)
    first = next(examples, None)
    if first is not None:
        name = file_name(KEY_EXAMPLES)
        files[name] = folder / name
        hashes[name] = _write_lines(files[name], (row.to_json() for row in chain([first], examples)))
    names = {label: name for label, name in sorted((label_names or {}).items()) if label != name}
    manifest = Manifest(
        version=version_of(hashes, names),
        parent=parent,
        labels=tuple(labels),
        rows={split: rows[split] for split in SPLITS},
        by_slice=dict(sorted(by_slice.items())),
        by_source=dict(sorted(by_source.items())),
        files=hashes,
        watermark=watermark,
        label_names=names,
        amended=known.until if known else None,
        amended_lately=known.lately if known else (),
    )
    return manifest, files


def _by_id(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.id)


def _write_lines(path: Path, lines: Iterable[str]) -> str:
    """Returns the SHA-256 of what was written."""
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        for line in lines:
            data = line.encode() + b"\n"
            digest.update(data)
            stream.write(data)
    return digest.hexdigest()
