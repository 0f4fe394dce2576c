"""Which elements of a worker template this page can show. What it cannot is refused by name when the template is created.

Looks at the template's source, before any input is known; needs no Liquid. Source: SageMaker developer guide, "Crowd HTML Elements".
"""

from __future__ import annotations

import re
import zlib
from html.parser import HTMLParser

from review_page.fields import TemplateError
from review_page.template_fields import ANSWERED
from review_page.template_places import OpenElements
from review_page.template_scripts import script_sources

HOSTED_ELEMENTS = "https://assets.crowd.aws/crowd-html-elements.js"
"""The script that SageMaker's templates load. The page gives its own elements instead: the script is not published as a package."""
CROWD = frozenset(
    {
        "crowd-form", "crowd-classifier", "crowd-classifier-multi-select", "crowd-input", "crowd-text-area", "crowd-radio-group",
        "crowd-radio-button", "crowd-checkbox", "crowd-slider", "crowd-entity-annotation", "crowd-button", "crowd-instructions",
        "crowd-card", "crowd-alert", "crowd-tabs", "crowd-tab",
    }
)  # fmt: skip
REGIONS = frozenset(
    {
        "classification-target", "full-instructions", "short-instructions", "short-summary", "detailed-instructions", "positive-example",
        "negative-example",
    }
)  # fmt: skip
_REFUSED = {
    "iframe": "the task's frame loads no other page",
    "frame": "the task's frame loads no other page",
    "object": "the task's frame loads no other page",
    "embed": "the task's frame loads no other page",
    "form": "use crowd-form",
    "link": "the task's frame loads no other file; write the style into the template",
    "base": "every address of a template is a whole one",
}
_REFUSED_INPUTS = ("file", "password")
_SHARE_A_NAME = ("checkbox", "radio", "submit", "button", "reset", "image")
_LIQUID_COMMENT = re.compile(r"\{%-?\s*(comment|doc)\s*-?%\}.*?\{%-?\s*end\1\s*-?%\}", re.DOTALL)
_LIQUID_TAG = re.compile(r"\{%.*?%\}", re.DOTALL)
_LIQUID_OUTPUT = re.compile(r"\{\{-?(.*?)-?\}\}", re.DOTALL)
_LIQUID_BRANCH = re.compile(r"\{%-?\s*(if|unless|case)\b")
_ONE_OF_A_NAME = ANSWERED - {"crowd-checkbox", "crowd-radio-button"}


def check_elements(template: str, *, scripts: bool = False) -> None:
    """Raises TemplateError, which names the element (and its line) that the page cannot show, or says that the template asks nothing.

    Args:
        scripts: the template's own inline scripts run in the task's frame (:mod:`review_page.template_scripts`).
    """
    if scripts:
        script_sources(template)
    # Of two elements in two branches only one may be there.
    parser = _Elements(names_once=_LIQUID_BRANCH.search(template) is None, scripts=scripts)
    parser.feed(_without_liquid(template))
    parser.close()
    if not parser.asks:
        raise TemplateError("the template asks nothing: it has no element with an answer")


def _without_liquid(template: str) -> str:
    """The template as HTML. Line breaks stay, so that lines can be named."""
    text = _LIQUID_COMMENT.sub(lambda found: "\n" * found[0].count("\n"), template)
    text = _LIQUID_TAG.sub(lambda found: "\n" * found[0].count("\n"), text)
    return _LIQUID_OUTPUT.sub(lambda found: _value(found[1]) + "\n" * found[0].count("\n"), text)


def _value(expression: str) -> str:
    """Stands for what a Liquid output writes, which is not empty and may have any content: the same for the same expression."""
    return f"liquid-{zlib.crc32(' '.join(expression.split()).encode()):08x}"


class _Elements(HTMLParser):
    def __init__(self, *, names_once: bool, scripts: bool) -> None:
        super().__init__(convert_charrefs=True)
        self.asks = False
        self._script, self._scripts = False, scripts
        self._names_once, self._lines = names_once, dict[str, int]()
        self._places = OpenElements()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in reversed(attrs)}  # of two with one name a browser takes the first
        self._check_element(tag, values)
        for name in values:
            if name.startswith("on"):
                instead = "; write a script element with addEventListener" if self._scripts else ""
                raise self._refusal(tag, f"its attribute {name} is a script of the template's own, which does not run{instead}")
        kind = values.get("type", "").lower()
        if tag in ("input", "crowd-input") and kind in _REFUSED_INPUTS:
            raise self._refusal(tag, f"of type {kind} is not supported")
        if tag == "select" and "multiple" in values:
            raise self._refusal(tag, "with the attribute multiple is not supported; use crowd-classifier-multi-select")
        line = self.getpos()[0]
        if tag in ANSWERED:
            if self._names_once:
                self._places.check(tag, line)
            if tag.startswith("crowd-") and not values.get("name"):
                raise TemplateError(f"line {self.getpos()[0]}: {tag} needs the attribute name")
            if tag in _ONE_OF_A_NAME and kind not in _SHARE_A_NAME and values.get("name") and "disabled" not in values:
                self._check_name(tag, values["name"])
            self.asks = True
        self._places.opened(tag, line, disabled="disabled" in values)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """The slash means nothing to a browser."""
        self.handle_starttag(tag, attrs)

    def _check_name(self, tag: str, name: str) -> None:
        if self._names_once and name in self._lines:
            raise self._refusal(tag, f"has the name of the one on line {self._lines[name]}; an answer holds one value for each name")
        self._lines[name] = self.getpos()[0]

    def _check_element(self, tag: str, values: dict[str, str]) -> None:
        own = tag == "script" and "src" not in values
        self._script = tag == "script" and not (own and self._scripts)
        if self._script and values.get("src") != HOSTED_ELEMENTS:
            source = f"with the address {values['src'][:80]!r}" if "src" in values else "with code of the template's own"
            raise self._refusal(tag, f"{source} does not run; only {HOSTED_ELEMENTS} is known")
        if tag in _REFUSED:
            raise self._refusal(tag, f"is not supported: {_REFUSED[tag]}")
        if tag == "meta" and "http-equiv" in values:
            raise self._refusal(tag, "with http-equiv is not supported")
        if "-" in tag and tag not in CROWD and tag not in REGIONS:
            raise self._refusal(tag, f"is not supported; there are {', '.join(sorted(CROWD))}")

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            raise self._refusal("script", "with code of the template's own does not run")

    def handle_endtag(self, tag: str) -> None:
        self._places.closed(tag)
        self._script = self._script and tag != "script"

    def _refusal(self, tag: str, why: str) -> TemplateError:
        return TemplateError(f"line {self.getpos()[0]}: the element {tag} {why}")
