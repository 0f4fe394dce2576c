"""The kinds of questions that a template may ask, and what an answer to each must hold: one class per kind."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

MOST_TEXT = 20_000
"""Characters of one text field."""
MOST_ENTITIES = 2_000
_NAMED = 10
"""Most categories that a refusal names."""
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"\d{4,6}-\d\d-\d\d", re.ASCII)


class TemplateError(ValueError):
    """The template or its input cannot be rendered, or an answer does not fit it; the text says why."""


class Field(Protocol):
    """One question of a template."""

    @property
    def names(self) -> tuple[str, ...]:
        """The answer's keys that are its own."""

    def check(self, content: Mapping[str, Any]) -> None:
        """Whether the answer holds what this question wants under its names. Raises TemplateError."""


@dataclass(frozen=True)
class Classifier:
    """One ``crowd-classifier``: the key of its answer and the labels to choose from."""

    name: str
    categories: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def check(self, content: Mapping[str, Any]) -> None:
        answer = content.get(self.name)
        label = answer.get("label") if isinstance(answer, dict) else None
        if not isinstance(label, str) or label not in self.categories:
            raise TemplateError(f"{self.name}: {shown(label)} is not one of {_listed(self.categories)}")
        _only(self.name, answer, ("label",))


@dataclass(frozen=True)
class MultiSelect:
    """One ``crowd-classifier-multi-select``; who chooses ``exclusion`` chooses nothing else."""

    name: str
    categories: tuple[str, ...]
    exclusion: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def check(self, content: Mapping[str, Any]) -> None:
        answer = content.get(self.name)
        labels = answer.get("labels") if isinstance(answer, dict) else None
        if not isinstance(labels, list) or not labels:
            raise TemplateError(f"{self.name}: choose at least one category")
        allowed = (*self.categories, *([self.exclusion] if self.exclusion else []))
        for label in labels:
            if not isinstance(label, str) or label not in allowed:
                raise TemplateError(f"{self.name}: {shown(label)} is not one of {_listed(allowed)}")
        if len(set(labels)) < len(labels):
            raise TemplateError(f"{self.name}: a category is there twice")
        if self.exclusion in labels and len(labels) > 1:
            raise TemplateError(f"{self.name}: {self.exclusion} goes with no other category")
        _only(self.name, answer, ("labels",))


@dataclass(frozen=True)
class Entities:
    """One ``crowd-entity-annotation`` over a text of ``length`` code points. None marked is an answer too."""

    name: str
    labels: tuple[str, ...]
    length: int

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def check(self, content: Mapping[str, Any]) -> None:
        answer = content.get(self.name)
        entities = answer.get("entities") if isinstance(answer, dict) else None
        if not isinstance(entities, list) or len(entities) > MOST_ENTITIES:
            raise TemplateError(f"{self.name}: entities must be a list of at most {MOST_ENTITIES}")
        for entity in entities:
            self._check_entity(entity)
        _only(self.name, answer, ("entities",))

    def _check_entity(self, entity: Any) -> None:
        if not isinstance(entity, dict):
            raise TemplateError(f"{self.name}: an entity must be an object")
        _only(self.name, entity, ("startOffset", "endOffset", "label"))
        if not isinstance(entity.get("label"), str) or entity["label"] not in self.labels:
            raise TemplateError(f"{self.name}: {shown(entity.get('label'))} is not one of {_listed(self.labels)}")
        start, end = entity.get("startOffset"), entity.get("endOffset")
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= self.length:
            raise TemplateError(f"{self.name}: offsets must be whole numbers with 0 <= startOffset < endOffset <= {self.length}")


@dataclass(frozen=True)
class TextField:
    """One text. Its length counts as in the browser, in units of UTF-16.

    Only the browser checks ``pattern`` and ``allowed-pattern``: matching a template's pattern could take very long here.
    """

    name: str
    required: bool = False
    shortest: int = 0
    longest: int = MOST_TEXT
    kind: str = "text"
    lowest: float = -math.inf
    highest: float = math.inf

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def check(self, content: Mapping[str, Any]) -> None:
        text = content.get(self.name)
        if text is None and self.name not in content and not self.required:
            return
        if not isinstance(text, str) or not text.strip():
            raise TemplateError(f"{self.name}: write something" + ("" if self.required else ", or leave it out"))
        length = len(text.encode("utf-16-le", "surrogatepass")) // 2
        if not self.shortest <= length <= self.longest:
            raise TemplateError(f"{self.name}: has {length} characters; {self.shortest} to {self.longest} are allowed")
        if self.kind == "number" and not (NUMBER.fullmatch(text) and self.lowest <= float(text) <= self.highest):
            raise TemplateError(f"{self.name}: {shown(text)} is not a number from {self.lowest:g} to {self.highest:g}")
        if self.kind == "date" and not _DATE.fullmatch(text):
            raise TemplateError(f"{self.name}: {shown(text)} is not a date (2026-01-31)")


@dataclass(frozen=True)
class FixedText:
    """A hidden ``input``: its value comes back as it is."""

    name: str
    value: str

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def check(self, content: Mapping[str, Any]) -> None:
        if content.get(self.name) != self.value:
            raise TemplateError(f"{self.name}: must be {shown(self.value)}, as it is in the template")


@dataclass(frozen=True)
class Choice:
    """A ``select``: one of its options."""

    name: str
    values: tuple[str, ...]
    required: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def check(self, content: Mapping[str, Any]) -> None:
        value = content.get(self.name)
        if not isinstance(value, str) or value not in self.values or (self.required and not value):
            raise TemplateError(f"{self.name}: {shown(value)} is not one of {_listed([one for one in self.values if one])}")


@dataclass(frozen=True)
class NumberField:
    """A ``crowd-slider``."""

    name: str
    lowest: float = 0
    highest: float = 100
    required: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def check(self, content: Mapping[str, Any]) -> None:
        value = content.get(self.name)
        if value is None and self.name not in content and not self.required:
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.lowest <= value <= self.highest:
            raise TemplateError(f"{self.name}: {shown(value)} is not a number from {self.lowest:g} to {self.highest:g}")


@dataclass(frozen=True)
class Checks:
    """Boxes or buttons that are checked or not, by (name, value).

    Args:
        one: exactly one of them is checked, or with ``optional`` none: they are radio buttons.
        required: those that must be checked.
    """

    members: tuple[tuple[str, str], ...]
    one: bool = False
    optional: bool = False
    required: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name, _ in self.members))

    def check(self, content: Mapping[str, Any]) -> None:
        checked = set()
        for name in self.names:
            answer = content.get(name)
            values = [value for one, value in self.members if one == name]
            if not isinstance(answer, dict) or any(type(answer.get(value)) is not bool for value in values):
                raise TemplateError(f"{name}: needs true or false for each of {_listed(values)}")
            _only(name, answer, values)
            checked |= {(name, value) for value in values if answer[value]}
        if self.one and len(checked) != 1 and not (self.optional and not checked):
            raise TemplateError(f"{', '.join(self.names)}: choose one of {_listed([value for _, value in self.members])}")
        for name, value in self.required:
            if (name, value) not in checked:
                raise TemplateError(f"{name}: {value} must be checked")


def _only(name: str, answer: Any, keys: Iterable[str]) -> None:
    extra = [key for key in answer if key not in keys]
    if extra:
        raise TemplateError(f"{name}: {shown(extra[0])} is not asked for")


def shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."


def _listed(values: Sequence[str]) -> str:
    first, more = values[:_NAMED], len(values) - _NAMED
    return f"{', '.join(first)}{f' and {more} more' if more > 0 else ''}"
