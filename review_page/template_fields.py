"""Reads the questions of a rendered template from its HTML."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.entities import html5
from html.parser import HTMLParser
from typing import Any

from review_page.fields import (
    MOST_TEXT,
    NUMBER,
    Checks,
    Choice,
    Classifier,
    Entities,
    Field,
    FixedText,
    MultiSelect,
    NumberField,
    TemplateError,
    TextField,
)
from review_page.template_places import OpenElements


def as_read(html: str) -> str:
    """A page as a browser reads it from its bytes: half a surrogate pair has none, and every line break is a line feed.

    Source: HTML Living Standard, "Preprocessing the input stream".
    """
    return html.encode(errors="replace").decode().replace("\r\n", "\n").replace("\r", "\n")


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


class FieldReader(HTMLParser):
    """Collects fields. Check boxes of one name make one field, and so do the buttons of a radio group."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._fields: list[Field] = []
        self._boxes: dict[str, list[tuple[str, bool]]] = {}
        self._radios: dict[str, list[tuple[str, str, bool]]] = {}
        self._groups = 0
        self._in_group = False
        self._select: _Select | None = None
        self._places = OpenElements()

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
        values = _attributes(attrs, self.get_starttag_text() or "")
        if tag == "crowd-radio-group":
            self._groups += 1
            self._in_group = True
        elif tag == "option" and self._select is not None:
            self._end_option()
            self._select.valued = "value" in values
            self._select.values.append(values.get("value", ""))
        elif tag in ANSWERED and "disabled" not in values:
            name = _named(tag, values)
            if name is not None:
                self._places.check(tag, self.getpos()[0])
            self._add(tag, name, values)
        self._places.opened(tag, self.getpos()[0], disabled="disabled" in values)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """The slash means nothing to a browser."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._places.closed(tag)
        if tag == "crowd-radio-group":
            self._in_group = False
        elif tag == "select" and self._select is not None:
            self._end_option()
            self._fields.append(Choice(self._select.name, tuple(self._select.values), self._select.required))
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._select is not None:
            self._select.text.append(data.replace("\0", ""))

    def _end_option(self) -> None:
        """An option without a value has its text for one."""
        if self._select is None:
            return
        if self._select.values and not self._select.valued:
            self._select.values[-1] = _SPACE.sub(" ", "".join(self._select.text)).strip(" ")
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


_SPACE = re.compile(r"[\t\n\f\r ]+")
"""What HTML calls space; a text may have other spaces, which it keeps."""
_REFERENCE = re.compile(r"&([a-zA-Z][a-zA-Z0-9]*)(;|=)?")


def _attributes(attrs: list[tuple[str, str | None]], tag: str) -> dict[str, str]:
    """As a browser has them: of two with one name it takes the first.

    It reads ``&copy=2`` as it stands, because no reference without its semicolon ends before a letter, a digit or ``=``. Older versions of
    the standard library read the reference, so the text of the tag is read once more with such an ``&`` written as one.
    """
    exact = _REFERENCE.sub(_unless_no_reference, tag)
    if exact != tag:
        reader = _Tag()
        reader.feed(exact)
        attrs = reader.attrs
    return {name: (value or "").replace("\0", "\ufffd") for name, value in reversed(attrs)}


def _unless_no_reference(found: re.Match[str]) -> str:
    is_reference = f"{found[1]};" in html5 if found[2] == ";" else found[1] in html5 and found[2] != "="
    return found[0] if is_reference else f"&amp;{found[0][1:]}"


class _Tag(HTMLParser):
    """Reads the attributes of one tag."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.attrs: list[tuple[str, str | None]] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attrs = attrs


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
    """What has no such number, or one that no computer can hold (``1e999``), counts as not written, as in a browser."""
    found = float(text) if text is not None and NUMBER.fullmatch(text.strip()) else otherwise
    return found if math.isfinite(found) else otherwise


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
