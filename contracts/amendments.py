"""Changes that people make to labels and rows after the fact: a correction, or a person's wish to be forgotten.

An amendment is one object in the data bucket, below :data:`PREFIX`, and never changes. The next dataset version applies all that its
parent did not know yet, each once, and its manifest says which it knows (:class:`Known`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.text import InvalidJson, parse_json

PREFIX = "amendments/"
CORRECT, FORGET = "correct", "forget"
CORRECTED = "corrected"
"""``method`` in the ``label_basis`` of a row whose label was corrected."""
OVERLAP = timedelta(hours=1)
"""An amendment has the time of its operator's clock. S3 refuses a request whose time is 15 minutes off, so two clocks differ by half an
hour at most; the rest is for a request that is tried again."""
_DIGEST = re.compile("[0-9a-f]{64}")
_KEY = re.compile(f"{PREFIX}(.+)-[0-9a-f]{{12}}[.]json")


def moment(at: str) -> datetime:
    """A time as it is compared: as texts, the same time with and without milliseconds, or in two zones, would differ. Without zone: UTC."""
    found = datetime.fromisoformat(at)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class InvalidAmendment(ValueError):
    """An object below :data:`PREFIX` is no amendment; the text names the field."""


@dataclass(frozen=True)
class Amendment:
    """``kind`` is :data:`CORRECT` or :data:`FORGET`.

    Attributes:
        at: ISO 8601 with zone: when it was asked for.
        by: pseudonym of who asked.
        target: the id of a row (correct); the SHA-256 of a group (forget), so that the record does not hold what shall be forgotten.
        label: the right label (correct).
        reason: why, in words.
    """

    kind: str
    at: str
    by: str
    target: str
    label: str | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.kind not in (CORRECT, FORGET):
            raise InvalidAmendment(f"kind {self.kind!r}: allowed are {CORRECT} and {FORGET}")
        if (self.kind == CORRECT) != (self.label is not None):
            raise InvalidAmendment(f"label {self.label!r}: a correction has one, and nothing else does")
        if self.kind == FORGET and not _DIGEST.fullmatch(self.target):
            raise InvalidAmendment(f"target {self.target[:80]!r}: 64 hexadecimal digits are needed, the SHA-256 of a group")
        try:
            if datetime.fromisoformat(self.at).tzinfo is None:
                raise ValueError
        except (TypeError, ValueError):
            raise InvalidAmendment(f"at {self.at!r}: a time in ISO 8601 with its zone is needed") from None

    @property
    def key(self) -> str:
        """Key of its object: sorted by time, and the same for the same amendment."""
        return f"{PREFIX}{self.at}-{hashlib.sha256(self.to_json().encode()).hexdigest()[:12]}.json"

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, allow_nan=False)

    @classmethod
    def parse(cls, data: str | bytes, where: str) -> Amendment:
        """Raises InvalidAmendment, naming ``where``."""
        try:
            raw = parse_json(data)
            texts = {name: raw[name] for name in ("kind", "at", "by", "target", "reason")}
            if not all(isinstance(value, str) for value in texts.values()) or not isinstance(raw["label"], str | None):
                raise InvalidAmendment("all its fields must be texts")
            return cls(**texts, label=raw["label"])
        except InvalidJson as error:
            raise InvalidAmendment(f"{where} {error}") from None
        except KeyError as error:
            raise InvalidAmendment(f"{where} has no field {error}") from None
        except (InvalidAmendment, TypeError) as error:
            raise InvalidAmendment(f"{where}: {error}") from None


def group_digest(group: str) -> str:
    """``target`` of a deletion: of a row's ``group``, such as ``subject:<subject>``."""
    return hashlib.sha256(group.encode()).hexdigest()


@dataclass(frozen=True)
class Amendments:
    """The amendments that a version has to apply, the oldest first. ``keys``: of their objects."""

    corrections: Mapping[str, Amendment] = field(default_factory=dict)
    forgotten: Mapping[str, Amendment] = field(default_factory=dict)
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Iterable[Amendment]) -> Amendments:
        """Of two corrections of one row the newer one counts."""
        ordered = sorted(found, key=lambda one: (moment(one.at), one.key))
        return cls(
            {one.target: one for one in ordered if one.kind == CORRECT},
            {one.target: one for one in ordered if one.kind == FORGET},
            tuple(sorted(one.key for one in ordered)),
        )

    def forgets(self, group: str, *, known_at: str | None = None) -> bool:
        """Whether a row of this group has to go. ``known_at``: when it was labelled; somebody forgotten may come back later."""
        found = self.forgotten.get(group_digest(group))
        return found is not None and (known_at is None or moment(known_at) <= moment(found.at))


@dataclass(frozen=True)
class Known:
    """The amendments that a version knows: every one that is more than :data:`OVERLAP` older than ``until``, and ``lately``.

    A slower clock than that of ``until`` may still bring an older key, so the keys of the last while are remembered one by one. A manifest
    from before there was ``lately`` has none: the amendments of that while are applied once more.

    Attributes:
        until: the last key, or None without any.
        lately: keys from :data:`OVERLAP` before ``until`` on.
    """

    until: str | None = None
    lately: tuple[str, ...] = ()

    @property
    def after(self) -> str:
        """A key that is unknown comes after this one."""
        found = None if self.until is None else _KEY.fullmatch(self.until)
        if found is None:
            return self.until or PREFIX
        return f"{PREFIX}{(moment(found[1]) - OVERLAP).isoformat(timespec='milliseconds')}"

    def __contains__(self, key: str) -> bool:
        return key == self.until or key in self.lately or key <= self.after

    def and_also(self, keys: Iterable[str]) -> Known:
        """These, too."""
        known = {*keys, *self.lately, *([] if self.until is None else [self.until])}
        if not known:
            return self
        until = Known(max(known))
        return replace(until, lately=tuple(sorted(key for key in known if key > until.after or key == until.until)))


def corrected_basis(change: Amendment, was: str) -> dict[str, Any]:
    """``label_basis`` of a row whose label was corrected."""
    return {"method": CORRECTED, "plurality": None, "was": was, "by": change.by, "at": change.at, "reason": change.reason}
