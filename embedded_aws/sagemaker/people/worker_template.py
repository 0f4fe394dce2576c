"""Worker task templates: Liquid as SageMaker renders it, and what a rendered template asks for.

Source: SageMaker developer guide, "Add automation with Liquid" and "Crowd HTML Elements". Values are
auto-escaped; ``skip_autoescape`` turns that off for one value; ``grant_read_access`` turns an S3 URI into a
pre-signed HTTPS URL.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import liquid
from liquid.exceptions import LiquidError
from markupsafe import Markup

GrantReadAccess = Callable[[str], str]


class TemplateError(ValueError):
    """The template or its input cannot be rendered, or an answer does not fit it; the text says why."""


@dataclass(frozen=True)
class Classifier:
    """One ``crowd-classifier``: the key of its answer and the labels to choose from."""

    name: str
    categories: tuple[str, ...]


def render(template: str, task_input: Mapping[str, Any], grant_read_access: GrantReadAccess) -> str:
    """The HTML of one task.

    Args:
        template: Liquid source.
        task_input: the parsed InputContent (A2I) or taskInput (Ground Truth), ``task.input`` in the template.
        grant_read_access: S3 URI -> URL that a browser can read.

    Raises:
        TemplateError: the template is not valid Liquid.
    """
    environment = liquid.Environment(autoescape=True)
    environment.add_filter("to_json", lambda value: json.dumps(value, ensure_ascii=False))
    environment.add_filter("skip_autoescape", lambda value: Markup(str(value)))  # noqa: S704  (this filter is the documented risk)
    environment.add_filter("grant_read_access", grant_read_access)
    try:
        return str(environment.from_string(template).render(task={"input": task_input}))
    except LiquidError as error:
        raise TemplateError(f"the worker template cannot be rendered: {error}") from error


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


def check_answer(wanted: list[Classifier], content: Any) -> dict[str, Any]:
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
            raise TemplateError(f"{classifier.name}: {label!r} is not one of {', '.join(classifier.categories)}")
    return content
