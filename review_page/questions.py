"""What a rendered worker template asks for, and whether an answer fits it.

Source: SageMaker developer guide, "Crowd HTML Elements".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

CANNOT_TELL = "cannot-tell"
"""The category of who has read the text and cannot tell. A task offers it by listing it last among its categories; no label has this id."""
_NAMED = 10
"""So many categories are named in a refusal."""


class TemplateError(ValueError):
    """The template or its input cannot be rendered, or an answer does not fit it; the text says why."""


@dataclass(frozen=True)
class Classifier:
    """One ``crowd-classifier``: the key of its answer and the labels to choose from."""

    name: str
    categories: tuple[str, ...]


class _Classifiers(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "crowd-classifier":
            values = dict(attrs)
            self.found.append((values.get("name") or "", values.get("categories") or ""))


def classifiers(html: str) -> list[Classifier]:
    """The classifiers of a rendered template, in order.

    Raises:
        TemplateError: one has no name, or its categories are not a JSON list of strings.
    """
    parser = _Classifiers()
    parser.feed(html)
    parser.close()
    result = []
    for name, raw in parser.found:
        if not name:
            raise TemplateError("crowd-classifier needs the attribute name")
        try:
            # SageMaker's own examples write the list with single quotes, which is not JSON.
            categories = json.loads(raw if '"' in raw else raw.replace("'", '"'))
        except ValueError:
            raise TemplateError(f"crowd-classifier {name!r}: categories is not a JSON list: {raw[:80]!r}") from None
        if not isinstance(categories, list) or not categories or not all(isinstance(item, str) for item in categories):
            raise TemplateError(f"crowd-classifier {name!r}: categories must be a list of strings, not {raw[:80]!r}")
        result.append(Classifier(name, tuple(categories)))
    return result


@dataclass(frozen=True)
class Questions:
    """What one rendered template asks for."""

    classifiers: tuple[Classifier, ...]

    def check(self, content: Any) -> dict[str, Any]:
        """The answer content as it is stored. Raises TemplateError: it does not fit."""
        return check_answer(self.classifiers, content)


def questions(html: str) -> Questions:
    """The questions of a rendered template. Raises TemplateError."""
    return Questions(tuple(classifiers(html)))


def check_answer(wanted: Sequence[Classifier], content: Any) -> dict[str, Any]:
    """The answer content as it is stored: ``{"<name>": {"label": "<category>"}}``.

    Raises:
        TemplateError: a classifier is left open or its label is not one of its categories.
    """
    if not isinstance(content, dict):
        raise TemplateError("the answer is not a JSON object")
    for classifier in wanted:
        answer = content.get(classifier.name)
        label = answer.get("label") if isinstance(answer, dict) else None
        if label not in classifier.categories:
            first, more = classifier.categories[:_NAMED], len(classifier.categories) - _NAMED
            rest = f" and {more} more" if more > 0 else ""
            raise TemplateError(f"{classifier.name}: {label!r} is not one of {', '.join(first)}{rest}")
    return content
