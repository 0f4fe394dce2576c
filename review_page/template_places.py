"""Where an element stands in a template: inside which other elements, as a browser reads it. A question inside some of them is never shown.

Source: HTML Living Standard, "Parsing HTML documents": ``<crowd-input ... />`` is no whole element. The slash means nothing, so everything
up to the parent's end tag is inside it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from review_page.fields import TemplateError

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
_KEEPS_NOTHING = frozenset(
    {
        "crowd-input", "crowd-text-area", "crowd-slider", "crowd-instructions", "textarea", "select", "title", "noscript", "template",
        "xmp", "noembed", "noframes",
    }
)  # fmt: skip
"""What stands inside these is no element, or is replaced by the page."""


@dataclass(frozen=True)
class _Open:
    tag: str
    line: int


class OpenElements:
    """The elements that are open at one place of a template, the outermost first."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._count: Counter[str] = Counter()
        self._hiding: list[_Open] = []

    def opened(self, tag: str, line: int, *, disabled: bool) -> None:
        if tag in _VOID:
            return
        one = _Open(tag, line)
        self._open.append(one)
        self._count[tag] += 1
        if tag in _KEEPS_NOTHING or (disabled and tag == "fieldset"):
            self._hiding.append(one)

    def closed(self, tag: str) -> None:
        """With it, whatever is open inside."""
        while self._count[tag]:
            one = self._open.pop()
            self._count[one.tag] -= 1
            if self._hiding and self._hiding[-1] is one:
                self._hiding.pop()
            if one.tag == tag:
                return

    def check(self, tag: str, line: int) -> None:
        """Raises TemplateError: nobody could answer a question at this place."""
        if self._hiding:
            one = self._hiding[0]
            raise TemplateError(
                f"line {line}: the element {tag} stands inside the element {one.tag} of line {one.line}, so nobody could answer it; every "
                f"element needs an end tag of its own, such as </{one.tag}>"
            )
