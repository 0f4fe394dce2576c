"""What a rendered worker template asks for, and whether an answer fits it.

Source: SageMaker developer guide, "Crowd HTML Elements", with the answer that it documents for each element:

======================================= ====================================================================================
``crowd-classifier``                    ``{"<name>": {"label": "<category>"}}``
``crowd-classifier-multi-select``       ``{"<name>": {"labels": ["<category>", ...]}}``
``crowd-entity-annotation``             ``{"<name>": {"entities": [{"startOffset", "endOffset", "label"}, ...]}}``, offsets in code points
``crowd-checkbox``, ``crowd-radio-*``,  ``{"<name>": {"<value>": true | false, ...}}``; the value is ``on`` where there is none
``input`` of these types
``crowd-input``, ``crowd-text-area``,   ``{"<name>": "<text>"}``; not there without text
``input``, ``textarea``, ``select``
``crowd-slider``                        ``{"<name>": <number>}``; not there when nobody has moved it and it has no preset
======================================= ====================================================================================
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Protocol

CANNOT_TELL = "cannot-tell"
"""The category of who has read the text and cannot tell. A task offers it by listing it last among its categories; no label has this id."""
MOST_TEXT = 20_000
"""Characters of one text field."""
MOST_ENTITIES = 2_000
_NAMED = 10
"""Most categories that a refusal names."""
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
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
            raise TemplateError(f"{self.name}: {_short(label)} is not one of {_listed(self.categories)}")
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
                raise TemplateError(f"{self.name}: {_short(label)} is not one of {_listed(allowed)}")
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
            raise TemplateError(f"{self.name}: {_short(entity.get('label'))} is not one of {_listed(self.labels)}")
        start, end = entity.get("startOffset"), entity.get("endOffset")
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= self.length:
            raise TemplateError(f"{self.name}: offsets must be whole numbers with 0 <= startOffset < endOffset <= {self.length}")


@dataclass(frozen=True)
class TextField:
    """One text. Only the browser checks ``pattern`` and ``allowed-pattern``: matching a template's pattern could take very long here."""

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
        if not self.shortest <= len(text) <= self.longest:
            raise TemplateError(f"{self.name}: has {len(text)} characters; {self.shortest} to {self.longest} are allowed")
        if self.kind == "number" and not (_NUMBER.fullmatch(text) and self.lowest <= float(text) <= self.highest):
            raise TemplateError(f"{self.name}: {_short(text)} is not a number from {self.lowest:g} to {self.highest:g}")
        if self.kind == "date" and not _DATE.fullmatch(text):
            raise TemplateError(f"{self.name}: {_short(text)} is not a date (2026-01-31)")


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
            raise TemplateError(f"{self.name}: must be {_short(self.value)}, as it is in the template")


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
            raise TemplateError(f"{self.name}: {_short(value)} is not one of {_listed([one for one in self.values if one])}")


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
            raise TemplateError(f"{self.name}: {_short(value)} is not a number from {self.lowest:g} to {self.highest:g}")


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


@dataclass(frozen=True)
class Questions:
    """What one rendered template asks for."""

    fields: tuple[Field, ...]

    @property
    def classifiers(self) -> tuple[Classifier, ...]:
        return tuple(one for one in self.fields if isinstance(one, Classifier))

    def check(self, content: Any) -> dict[str, Any]:
        """The answer content as it is stored. Raises TemplateError: the answer does not fit."""
        return check_answer(self.fields, content)


def check_answer(wanted: Sequence[Field], content: Any) -> dict[str, Any]:
    """The answer content as it is stored: what the fields document, each under its name.

    Raises:
        TemplateError: something is missing, does not fit, is not asked for, or cannot be stored.
    """
    if not isinstance(content, dict):
        raise TemplateError("the answer is not a JSON object")
    _check_storable(content)
    for one in wanted:
        one.check(content)
    known = {name for one in wanted for name in one.names}
    for name in content:
        if name not in known:
            raise TemplateError(f"the answer holds {_short(name)}, which the task does not ask for")
    if not content:
        raise TemplateError("the answer is empty: answer at least one question")
    return content


def questions(html: str) -> Questions:
    """The questions of a rendered template, in order.

    Raises:
        TemplateError: the element has no name, its categories are no list of strings, two have one name, or nothing is asked.
    """
    parser = _Questions()
    parser.feed(html)
    parser.close()
    found = parser.found()
    names = Counter(name for one in found for name in one.names)
    for name, count in names.items():
        if count > 1:
            raise TemplateError(f"{count} questions of the template have the name {_short(name)}")
    if not found:
        raise TemplateError("the template asks nothing: it has no element with an answer")
    return Questions(tuple(found))


def _check_storable(value: Any) -> None:
    """Raises TemplateError: a text has half a surrogate pair, for which UTF-8 has no bytes, or a number is not finite."""
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise TemplateError("the answer holds half a surrogate pair, which is no character")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise TemplateError(f"the answer holds {value}, which is no number")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_storable(key)
            _check_storable(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_storable(inner)


def _only(name: str, answer: Any, keys: Iterable[str]) -> None:
    extra = [key for key in answer if key not in keys]
    if extra:
        raise TemplateError(f"{name}: {_short(extra[0])} is not asked for")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:80]}..."


def _listed(values: Sequence[str]) -> str:
    first, more = values[:_NAMED], len(values) - _NAMED
    return f"{', '.join(first)}{f' and {more} more' if more > 0 else ''}"


# -- reading a template ----------------------------------------------------------------------------


def read_json(element: str, name: str, attribute: str, raw: str) -> Any:
    """An attribute's JSON. SageMaker's own examples write it with single quotes, which is not JSON."""
    for text in (raw, *([] if '"' in raw else [raw.replace("'", '"')])):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            continue
    raise TemplateError(f"{element} {name!r}: {attribute} is not a JSON list: {raw[:80]!r}")


def _strings(element: str, name: str, raw: str) -> tuple[str, ...]:
    categories = read_json(element, name, "categories", raw)
    if not isinstance(categories, list) or not categories or not all(isinstance(item, str) for item in categories):
        raise TemplateError(f"{element} {name!r}: categories must be a list of strings, not {raw[:80]!r}")
    if len(set(categories)) < len(categories):
        raise TemplateError(f"{element} {name!r}: a category is there twice")
    return tuple(categories)


@dataclass
class _Select:
    name: str
    required: bool
    values: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    valued: bool = True


class _Questions(HTMLParser):
    """Collects fields. Check boxes of one name make one field, and so do the buttons of a radio group."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._fields: list[Field] = []
        self._boxes: dict[str, list[tuple[str, bool]]] = {}
        self._radios: dict[str, list[tuple[str, str, bool]]] = {}
        self._groups = 0
        self._in_group = False
        self._select: _Select | None = None

    def found(self) -> list[Field]:
        boxes = [
            Checks(tuple((name, value) for value, _ in values), required=tuple((name, value) for value, needed in values if needed))
            for name, values in self._boxes.items()
        ]
        radios = [
            Checks(tuple((name, value) for name, value, _ in buttons), one=True, optional=not any(needed for _, _, needed in buttons))
            for buttons in self._radios.values()
        ]
        return [*self._fields, *boxes, *radios]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "crowd-radio-group":
            self._groups += 1
            self._in_group = True
        elif tag == "option" and self._select is not None:
            self._end_option()
            self._select.valued = "value" in values
            self._select.values.append(values.get("value", ""))
        elif tag in ANSWERED and "disabled" not in values:
            self._add(tag, _named(tag, values), values)

    def handle_endtag(self, tag: str) -> None:
        if tag == "crowd-radio-group":
            self._in_group = False
        elif tag == "select" and self._select is not None:
            self._end_option()
            self._fields.append(Choice(self._select.name, tuple(self._select.values), self._select.required))
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._select is not None:
            self._select.text.append(data)

    def _end_option(self) -> None:
        """An option without a value has its text for one."""
        if self._select is None:
            return
        if self._select.values and not self._select.valued:
            self._select.values[-1] = " ".join("".join(self._select.text).split())
        self._select.text, self._select.valued = [], True

    def _add(self, tag: str, name: str | None, values: dict[str, str]) -> None:
        if name is None:
            return
        kind = values.get("type", "text").lower()
        if tag == "crowd-classifier":
            self._fields.append(Classifier(name, _strings(tag, name, values.get("categories", ""))))
        elif tag == "crowd-classifier-multi-select":
            self._fields.append(MultiSelect(name, _strings(tag, name, values.get("categories", "")), _exclusion(name, values)))
        elif tag == "crowd-entity-annotation":
            self._fields.append(Entities(name, _entity_labels(name, values.get("labels", "")), len(values.get("text", ""))))
        elif tag == "crowd-checkbox" or (tag == "input" and kind == "checkbox"):
            self._boxes.setdefault(name, []).append((values.get("value", "on"), "required" in values))
        elif tag == "crowd-radio-button" or (tag == "input" and kind == "radio"):
            crowd = tag == "crowd-radio-button"
            key = f"group {self._groups}" if crowd and self._in_group else f"name {name}"
            self._radios.setdefault(key, []).append((name, values.get("value", "on"), crowd or "required" in values))
        elif tag == "crowd-slider":
            lowest, highest = _number(values.get("min"), 0), _number(values.get("max"), 100)
            self._fields.append(NumberField(name, lowest, highest, "required" in values))
        elif tag == "select":
            self._select = _Select(name, "required" in values)
        elif tag == "input" and kind == "hidden":
            self._fields.append(FixedText(name, values.get("value", "")))
        else:
            self._fields.append(_text_field(name, kind, values))


ANSWERED = frozenset(
    {
        "crowd-classifier", "crowd-classifier-multi-select", "crowd-entity-annotation", "crowd-checkbox", "crowd-radio-button",
        "crowd-slider", "crowd-input", "crowd-text-area", "input", "textarea", "select",
    }
)  # fmt: skip
"""The elements that have an answer."""
_NO_ANSWER = ("submit", "button", "reset", "image")


def _named(tag: str, values: Mapping[str, str]) -> str | None:
    """The element's name; None: this ``input`` is a button, or a native one without a name, which a form leaves out."""
    if tag == "input" and values.get("type", "").lower() in _NO_ANSWER:
        return None
    if not values.get("name"):
        if tag.startswith("crowd-"):
            raise TemplateError(f"{tag} needs the attribute name")
        return None
    return values["name"]


def _text_field(name: str, kind: str, values: Mapping[str, str]) -> TextField:
    longest = _number(values.get("max-length", values.get("maxlength")), MOST_TEXT)
    return TextField(
        name,
        "required" in values,
        shortest=int(_number(values.get("min-length", values.get("minlength")), 0)),
        longest=int(min(longest, MOST_TEXT)),
        kind=kind,
        lowest=_number(values.get("min"), -math.inf) if kind == "number" else -math.inf,
        highest=_number(values.get("max"), math.inf) if kind == "number" else math.inf,
    )


def _number(text: str | None, otherwise: float) -> float:
    return float(text) if text is not None and _NUMBER.fullmatch(text.strip()) else otherwise


def _exclusion(name: str, values: Mapping[str, str]) -> str | None:
    """``exclusion-category="{ text: 'None of the above' }"``: the guide writes it as no JSON at all."""
    raw = values.get("exclusion-category")
    if raw is None:
        return None
    found = re.fullmatch(r"\s*\{\s*[\"']?text[\"']?\s*:\s*(?:\"([^\"]+)\"|'([^']+)')\s*\}\s*", raw)
    if not found:
        raise TemplateError(f"crowd-classifier-multi-select {name!r}: exclusion-category must be {{ text: '...' }}, not {raw[:80]!r}")
    return found[1] or found[2]


def _entity_labels(name: str, raw: str) -> tuple[str, ...]:
    labels = read_json("crowd-entity-annotation", name, "labels", raw)
    found = [one.get("label") if isinstance(one, dict) else one for one in labels] if isinstance(labels, list) else []
    if not found or not all(isinstance(one, str) and one for one in found):
        raise TemplateError(f"crowd-entity-annotation {name!r}: labels must be a list of objects with label, not {raw[:80]!r}")
    return tuple(str(one) for one in found)
