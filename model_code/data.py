"""Dataset rows and versions: reading with hash check, writing, and the content-addressed version.

Form: docs/contracts.md, "Dataset row".
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test")
MOST_VOTES = 1_000_000


class InvalidDataset(ValueError):
    """A dataset file is missing, was changed, or has a row of another form; the text says which and where."""


@dataclass(frozen=True)
class Row:
    """One labelled text. ``votes`` counts raters per label; ``group`` is never split apart; ``new``: its version added it."""

    id: str
    text: str
    label: str
    votes: Mapping[str, int]
    group: str
    slice: str
    source: str
    new: bool = False

    @classmethod
    def parse(cls, line: str, where: str) -> Row:
        """Raises InvalidDataset, naming ``where`` and the field."""
        try:
            raw: Any = json.loads(line)
            row = cls(**{name: raw[name] for name in cls.__dataclass_fields__ if name != "new" or name in raw})
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidDataset(f"{where}: not a dataset row ({type(error).__name__}: {error})") from None
        for name in ("id", "text", "label", "group", "slice", "source"):
            value = getattr(row, name)
            if not isinstance(value, str) or not value.strip():
                found = "is empty" if isinstance(value, str) else f"= {value!r}"
                raise InvalidDataset(f"{where}: field {name!r} {found}: a text is needed")
        problem = votes_problem(row.label, row.votes)
        if problem:
            raise InvalidDataset(f"{where}: row {row.id!r}: {problem}")
        if not isinstance(row.new, bool):
            raise InvalidDataset(f"{where}: field 'new' = {row.new!r}: allowed is true or false")
        return row

    def to_json(self) -> str:
        """``new`` only where it is true, so that rows without it keep their bytes."""
        fields = {name: value for name, value in asdict(self).items() if name != "new" or value}
        return json.dumps(fields, ensure_ascii=False, sort_keys=True, allow_nan=False)


def votes_problem(label: str, votes: Any) -> str | None:
    """What is wrong with a row's votes, or None.

    Training learns from the votes and evaluation measures by the label, so the label must have as many votes as any other. A tie is
    allowed: somebody has decided it. A row without votes has its label alone.
    """
    if not isinstance(votes, Mapping):
        return f"votes = {votes!r}: an object of whole numbers per label is needed"
    for name, count in votes.items():
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST_VOTES:
            return f"votes for {name!r} = {count!r}: a whole number from 0 to {MOST_VOTES} is needed"
    first = max(votes, key=lambda name: int(votes[name]), default=label)
    own = votes.get(label, 0)
    if votes.get(first, 0) > own:
        return f"label = {label!r} has {own} votes and {first!r} has {votes[first]}: correct the label or the votes, or leave the votes out"
    return None


@dataclass(frozen=True)
class Manifest:
    """What a dataset version consists of."""

    version: str
    parent: str | None
    labels: Sequence[str]
    rows: Mapping[str, int]
    by_slice: Mapping[str, int]
    by_source: Mapping[str, int]
    files: Mapping[str, str]
    watermark: str | None = None


def read_rows(folder: Path) -> list[Row]:
    """All rows of ``<folder>/data.jsonl``.

    Raises:
        InvalidDataset: the file is missing, empty, or a line is not a row.
    """
    path = folder / "data.jsonl"
    if not path.exists():
        raise InvalidDataset(f"{path} does not exist: the channel must hold data.jsonl")
    try:
        with path.open(encoding="utf-8") as stream:
            rows = [Row.parse(line, f"{path.name}:{number}") for number, line in enumerate(stream, 1) if line.strip()]
    except UnicodeDecodeError as error:
        raise InvalidDataset(f"{path} is no UTF-8 text ({error}): upload the file again") from None
    if not rows:
        raise InvalidDataset(f"{path} has no row")
    return rows


def version_of(files: Mapping[str, str]) -> str:
    """First 16 hex digits of the SHA-256 over the sorted file hashes: equal rows give an equal version."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}={files[name]}\n".encode())
    return digest.hexdigest()[:16]


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
        labels=list(labels),
        rows={name: len(rows) for name, rows in kept.items()},
        by_slice=dict(Counter(row.slice for row in everything)),
        by_source=dict(Counter(row.source.split(":")[0] for row in everything)),
        files=files,
        watermark=watermark,
    )
    content = asdict(manifest)
    (folder / "manifest.json").write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest and check every file against its hash.

    Raises:
        InvalidDataset: no manifest, or a file differs from what the manifest says.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise InvalidDataset(f"{path} does not exist: {folder} is not a dataset version")
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InvalidDataset(f"{path} is not a dataset manifest ({type(error).__name__}: {error}): upload the version again") from None
    for name, expected in manifest.files.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest() if (folder / name).exists() else "missing"
        if found != expected:
            raise InvalidDataset(f"{name} has SHA-256 {found}, but the manifest of version {manifest.version} says {expected}")
    return manifest
