"""What a dataset version consists of, and readers that name what is wrong (docs/contracts.md, "Dataset row").

Functions and containers read and write the same versions through this one module.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from contracts.amendments import Known
from contracts.text import InvalidJson, InvalidText, checked_text, is_blank, kind, normal_text, parse_json

SPLITS = ("train", "validation", "test")
MOST_VOTES = 1_000_000
_TEXTS = ("id", "text", "label", "group", "slice", "source")
_SHA256 = re.compile("[0-9a-f]{64}")
_FORM = "a row has id, text, label, votes, group, slice and source"


class InvalidDataset(ValueError):
    """A dataset file is missing, was changed, or has a row of another form; the text says which and where."""


@dataclass(frozen=True)
class Row:
    """One labelled text. ``votes`` counts raters per label; ``group`` is never split apart; ``source`` is the provenance.

    ``new``: a training row that this version added; written only when true.

    ``other_groups``: of other people who sent the same text; written only where there are any. A deletion of each removes the row.

    ``label_basis``: how the label was found where people reviewed the text; written only where it is known.
    """

    id: str
    text: str
    label: str
    votes: Mapping[str, int]
    group: str
    slice: str
    source: str
    new: bool = False
    label_basis: Mapping[str, Any] | None = None
    other_groups: tuple[str, ...] = ()

    @property
    def groups(self) -> tuple[str, ...]:
        """All whom the row is about."""
        return (self.group, *self.other_groups)

    @property
    def normal_text(self) -> str:
        return normal_text(self.text)

    @classmethod
    def parse(cls, line: str | bytes, where: str) -> Row:
        """A line of ``data.jsonl``, its texts in Unicode's normal form C. Fields that a row does not have are ignored.

        Raises:
            InvalidDataset: naming ``where``, the field, its value and what is allowed.
        """
        raw = _object(line, where)
        missing = [name for name in (*_TEXTS, "votes") if name not in raw]
        if missing:
            raise InvalidDataset(f"{where}: has no field {missing[0]!r}: {_FORM}")
        texts = {name: _text(name, raw[name], where) for name in _TEXTS}
        new, basis, problem = raw.get("new", False), raw.get("label_basis"), votes_problem(texts["label"], raw["votes"])
        others = raw.get("other_groups", [])
        if not isinstance(new, bool):
            raise InvalidDataset(f"{where}: field 'new' = {new!r}: allowed is true or false")
        if basis is not None and not isinstance(basis, dict):
            raise InvalidDataset(f"{where}: field 'label_basis' = {basis!r}: allowed is an object")
        if not isinstance(others, list) or not all(isinstance(one, str) for one in others):
            raise InvalidDataset(f"{where}: field 'other_groups' = {others!r}: allowed is a list of texts")
        if problem:
            raise InvalidDataset(f"{where}: row {texts['id']!r}: {problem}")
        return cls(**texts, votes=raw["votes"], new=new, label_basis=basis, other_groups=tuple(others))

    def to_json(self) -> str:
        """``new`` only where it is true, the last two only where there are any: rows without them keep their bytes."""
        content = asdict(self)
        for name in ("new", "label_basis", "other_groups"):
            if not content[name]:
                del content[name]
        return json.dumps(content, ensure_ascii=False, sort_keys=True, allow_nan=False)


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
class ReferenceText:
    """One unlabelled text of what was served lately: evaluation makes the drift baseline of them."""

    text: str
    group: str

    @classmethod
    def parse(cls, line: str | bytes, where: str) -> ReferenceText:
        """A line of ``reference/data.jsonl``. Raises InvalidDataset as :meth:`Row.parse` does."""
        raw = _object(line, where)
        return cls(_text("text", raw.get("text"), where), _text("group", raw.get("group"), where))

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, allow_nan=False)


@dataclass(frozen=True)
class Manifest:
    """What a version consists of. ``watermark``: newest ``reviewed_at`` inside, or None without human labels. ``amended``: key of
    the last amendment that it knows, and ``amended_lately``: keys of those of the while before (:class:`contracts.amendments.Known`).

    ``label_names``: what people see of a label (:mod:`contracts.labels`); a label that is not in it is its own name.
    """

    version: str
    parent: str | None
    labels: tuple[str, ...]
    rows: Mapping[str, int]
    by_slice: Mapping[str, int]
    by_source: Mapping[str, int]
    files: Mapping[str, str]
    watermark: str | None = None
    label_names: Mapping[str, str] = field(default_factory=dict)
    amended: str | None = None
    amended_lately: tuple[str, ...] = ()

    @property
    def known(self) -> Known:
        """The amendments that the rows have."""
        return Known(self.amended, self.amended_lately)

    @classmethod
    def parse(cls, data: str | bytes, where: str) -> Manifest:
        """The content of ``manifest.json``.

        Raises:
            InvalidDataset: naming ``where``, the field, its value and what is allowed.
        """
        raw = {"parent": None, "watermark": None, "label_names": {}, "amended": None, "amended_lately": [], **_object(data, where)}
        for name, (allowed, fits) in _MANIFEST.items():
            if name not in raw:
                raise InvalidDataset(f"{where}: has no field {name!r}: a manifest has {', '.join(_MANIFEST)}")
            if not fits(raw[name]):
                raise InvalidDataset(f"{where}: field {name!r} = {raw[name]!r}: allowed is {allowed}")
        fields: dict[str, Any] = {name: raw[name] for name in _MANIFEST}
        return cls(**{**fields, "labels": tuple(raw["labels"]), "amended_lately": tuple(raw["amended_lately"])})

    def to_json(self) -> str:
        content = asdict(self)
        for name in ("amended", "amended_lately"):
            if not content[name]:
                del content[name]
        return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"


def version_of(files: Mapping[str, str], label_names: Mapping[str, str] | None = None) -> str:
    """First 16 hex digits of the SHA-256 over the sorted file hashes and label names: equal rows and names give an equal version."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}={files[name]}\n".encode())
    for label, shown in sorted((label_names or {}).items()):
        digest.update(f"{label}={json.dumps(shown)}\n".encode())
    return digest.hexdigest()[:16]


def _labels(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(label, str) and label for label in value) and len(set(value)) == len(value) > 0


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(type(count) is int and count >= 0 for count in value.values())


def _names(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) and not is_blank(name) for name in value.values())


def _hashes(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(one, str) and _SHA256.fullmatch(one) for one in value.values())


def _moment(value: Any) -> bool:
    try:
        return value is None or datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


_COUNTS = ("an object of names and whole numbers, 0 or more", _counts)
_MANIFEST: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "version": ("a text", lambda value: isinstance(value, str) and bool(value)),
    "parent": ("a version or null", lambda value: value is None or (isinstance(value, str) and bool(value))),
    "labels": ("a list of different texts", _labels),
    "rows": _COUNTS,
    "by_slice": _COUNTS,
    "by_source": _COUNTS,
    "files": ("an object of file names and their SHA-256 in 64 hexadecimal digits", _hashes),
    "watermark": ("a time in ISO 8601 with its zone, or null", _moment),
    "label_names": ("an object of labels and their names, which are texts", _names),
    "amended": ("the key of an amendment or null", lambda value: value is None or isinstance(value, str)),
    "amended_lately": (
        "a list of keys of amendments",
        lambda value: isinstance(value, list) and all(isinstance(key, str) for key in value),
    ),
}
"""Field of a manifest -> what is allowed, and the check."""


def _object(line: str | bytes, where: str) -> dict[str, Any]:
    try:
        raw = parse_json(line)
    except InvalidJson as error:
        raise InvalidDataset(f"{where}: {error}") from None
    if not isinstance(raw, dict):
        raise InvalidDataset(f"{where}: must be an object, not {kind(raw)}")
    return raw


def _text(field: str, value: Any, where: str) -> str:
    try:
        return checked_text(field, value)
    except InvalidText as error:
        raise InvalidDataset(f"{where}: field {field!r} {error.problem}") from None
