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

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from review_page.depth import MOST_DEPTH, is_too_deep
from review_page.fields import Choice, Classifier, Field, NumberField, TemplateError, TextField, shown
from review_page.template_fields import FieldReader, as_read

CANNOT_TELL = "cannot-tell"
"""The category of who has read the text and cannot tell. A task offers it by listing it last among its categories; no label has this id."""


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
        TemplateError: something is missing, does not fit, is not asked for, is nested too deep, or cannot be stored.
    """
    if not isinstance(content, dict):
        raise TemplateError("the answer is not a JSON object")
    if is_too_deep(content):
        raise TemplateError(f"the answer is more than {MOST_DEPTH} levels deep")
    _check_storable(content)
    for one in wanted:
        one.check(content)
    known = {name for one in wanted for name in one.names}
    for name in content:
        if name not in known:
            raise TemplateError(f"the answer holds {shown(name)}, which the task does not ask for")
    if not content:
        raise TemplateError("the answer is empty: answer at least one question")
    return content


def questions(html: str) -> Questions:
    """The questions of a rendered template, in order.

    Raises:
        TemplateError: the element has no name, its categories are no list of strings, two have one name, no answer fits it, or nothing
            is asked.
    """
    parser = FieldReader()
    parser.feed(as_read(html))
    parser.close()
    found = parser.found()
    names = Counter(name for one in found for name in one.names)
    for name, count in names.items():
        if count > 1:
            raise TemplateError(f"{count} questions of the template have the name {shown(name)}")
    if not found:
        raise TemplateError("the template asks nothing: it has no element with an answer")
    for one in found:
        if _has_no_answer(one):
            raise TemplateError(f"no answer fits {', '.join(map(shown, one.names))}: its bounds or options leave none")
    return Questions(tuple(found))


def _has_no_answer(asked: Field) -> bool:
    """Nobody could finish the task, so it would wait until it expires."""
    match asked:
        case TextField():
            return asked.shortest > asked.longest or asked.lowest > asked.highest
        case NumberField():
            return asked.lowest > asked.highest
        case Choice():
            return not any(value or not asked.required for value in asked.values)
    return False


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
