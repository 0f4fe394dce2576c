"""Dataset rows and versions: reading with hash check, writing, and the content-addressed version.

Form: docs/contracts.md, "Dataset row".
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from model_code.dataset_form import SPLITS, InvalidDataset, Manifest, Row, version_of, votes_problem
from model_code.text import json_lines

__all__ = ["SPLITS", "InvalidDataset", "Manifest", "Row", "read_manifest", "read_rows", "version_of", "votes_problem", "write_dataset"]


def read_rows(folder: Path) -> list[Row]:
    """All rows of ``<folder>/data.jsonl``.

    Raises:
        InvalidDataset: the file is missing, empty, or a line is not a row.
    """
    path = folder / "data.jsonl"
    if not path.exists():
        raise InvalidDataset(f"{path} does not exist: the channel must hold data.jsonl")
    with path.open("rb") as stream:
        rows = [Row.parse(line, f"{path.name}:{number}") for number, line in json_lines(stream)]
    if not rows:
        raise InvalidDataset(f"{path} has no row")
    return rows


def write_dataset(
    folder: Path, splits: Mapping[str, Iterable[Row]], labels: Sequence[str], *, parent: str | None = None, watermark: str | None = None
) -> Manifest:
    """Write ``<folder>/<split>/data.jsonl`` for each split, and the manifest last.

    Rows are sorted by id, so the version does not depend on their order.
    """
    files: dict[str, str] = {}
    kept: dict[str, list[Row]] = {name: sorted(splits[name], key=lambda row: row.id) for name in SPLITS}
    for name, rows in kept.items():
        data = "".join(row.to_json() + "\n" for row in rows).encode()
        target = folder / name / "data.jsonl"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        files[f"{name}/data.jsonl"] = hashlib.sha256(data).hexdigest()
    everything = [row for rows in kept.values() for row in rows]
    manifest = Manifest(
        version=version_of(files),
        parent=parent,
        labels=tuple(labels),
        rows={name: len(rows) for name, rows in kept.items()},
        by_slice=dict(Counter(row.slice for row in everything)),
        by_source=dict(Counter(row.source.split(":")[0] for row in everything)),
        files=files,
        watermark=watermark,
    )
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest and check every file against its hash.

    Raises:
        InvalidDataset: no manifest or one of another form, or a file differs from what the manifest says.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise InvalidDataset(f"{path} does not exist: {folder} is not a dataset version")
    manifest = Manifest.parse(path.read_bytes(), path.name)
    for name, expected in manifest.files.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest() if (folder / name).exists() else "missing"
        if found != expected:
            raise InvalidDataset(f"{name} has SHA-256 {found}, but the manifest of version {manifest.version} says {expected}")
    return manifest
