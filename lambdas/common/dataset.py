"""Dataset versions as the functions read and write them: rows, manifest, content hash.

The form is docs/contracts.md, "Dataset row". The training code reads the same bytes with a reader of its own, since a
container and a function share no code; a test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

SPLITS = ("train", "validation", "test")
REFERENCE = "reference"
MOST_VOTES = 1_000_000
_OPTIONAL = ("new",)


class InvalidDataset(ValueError):
    """A manifest or a row has another form, or a file was changed; the text says which and where."""


@dataclass(frozen=True)
class Row:
    """One labelled text. ``votes`` counts raters per label; ``group`` is never split apart; ``source`` is the provenance.

    ``new``: a training row that this version added; written only when true.
    """

    id: str
    text: str
    label: str
    votes: Mapping[str, int]
    group: str
    slice: str
    source: str
    new: bool = False

    @property
    def normal_text(self) -> str:
        return normal_text(self.text)

    def to_json(self) -> str:
        content = asdict(self)
        if not self.new:
            del content["new"]
        return json.dumps(content, ensure_ascii=False, sort_keys=True, allow_nan=False)


@dataclass(frozen=True)
class ReferenceText:
    """One unlabelled text of what was served lately: evaluation makes the drift baseline of them."""

    text: str
    group: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, allow_nan=False)


@dataclass(frozen=True)
class Manifest:
    """What a dataset version consists of. ``watermark``: newest ``reviewed_at`` inside, or None without human labels."""

    version: str
    parent: str | None
    labels: tuple[str, ...]
    rows: Mapping[str, int]
    by_slice: Mapping[str, int]
    by_source: Mapping[str, int]
    files: Mapping[str, str]
    watermark: str | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any], where: str) -> Manifest:
        """Raises InvalidDataset, naming ``where`` and the field."""
        try:
            fields = {name: raw[name] for name in cls.__dataclass_fields__}
        except KeyError as error:
            raise InvalidDataset(f"{where} has no field {error}: it is not a dataset manifest") from None
        return cls(**{**fields, "labels": tuple(fields["labels"])})

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n"


@dataclass(frozen=True)
class Dataset:
    """One version in memory: its manifest, and the rows of each split."""

    manifest: Manifest
    splits: Mapping[str, tuple[Row, ...]]


def row_problem(row: Row) -> str | None:
    """What is wrong with a row's fields, or None. ``model_code/data.py`` has the same rules, in the same words."""
    for name in ("id", "text", "label", "group", "slice", "source"):
        value = getattr(row, name)
        if not isinstance(value, str) or not value.strip():
            return f"field {name!r} " + ("is empty" if isinstance(value, str) else f"= {value!r}") + ": a text is needed"
    if not isinstance(row.new, bool):
        return f"field 'new' = {row.new!r}: allowed is true or false"
    problem = votes_problem(row.label, row.votes)
    return f"row {row.id!r}: {problem}" if problem else None


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


def normal_text(text: str) -> str:
    """What counts as the same text: lower case, white space folded."""
    return " ".join(text.lower().split())


def file_name(split: str) -> str:
    """Key of a split's file, or of the reference's, below the version's prefix."""
    return f"{split}/data.jsonl"


def parse_rows(data: bytes, where: str) -> tuple[Row, ...]:
    """The rows of one file.

    Raises:
        InvalidDataset: naming file and line.
    """
    rows = []
    # Not splitlines(): a text may hold a line separator of Unicode, which is no end of a JSON line.
    for number, line in enumerate(data.decode().split("\n"), 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
            rows.append(Row(**{name: raw[name] for name in Row.__dataclass_fields__ if name in raw or name not in _OPTIONAL}))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidDataset(f"{where}:{number}: not a dataset row ({type(error).__name__}: {error})") from None
        problem = row_problem(rows[-1])
        if problem:
            raise InvalidDataset(f"{where}:{number}: {problem}")
    return tuple(rows)


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


def version_of(hashes: Mapping[str, str]) -> str:
    """First 16 hex digits of the SHA-256 over the sorted file hashes."""
    digest = hashlib.sha256()
    for name in sorted(hashes):
        digest.update(f"{name}={hashes[name]}\n".encode())
    return digest.hexdigest()[:16]
