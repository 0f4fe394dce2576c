"""Scripts of a template's own, where a setting lets them run in the task's sandboxed frame.

Only code that the template's author has written runs. The frame's policy names the hash of each script. A hash allows this very text and
nothing that it could load. A script has no Liquid in it, so no value of a task ever becomes code: the script reads values from the page.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from review_page.fields import TemplateError

_SCRIPT = re.compile(r"<script(?P<attributes>(?:\s[^>]*)?)>(?P<code>.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
_BEGINS = re.compile(r"<script(?![a-z0-9-])", re.IGNORECASE)
_LIQUID_COMMENT = re.compile(r"\{%-?\s*(comment|doc)\s*-?%\}.*?\{%-?\s*end\1\s*-?%\}", re.DOTALL)
_SOURCE = re.compile(r"(?<![\w-])src\s*=", re.IGNORECASE)
_TYPE = re.compile(r"(?<![\w-])type\s*=\s*[\"']?([^\"'\s>]*)", re.IGNORECASE)
_TYPES = ("", "text/javascript", "application/javascript", "module")


@dataclass(frozen=True)
class _Script:
    line: int
    attributes: str
    code: str


def script_sources(template: str) -> tuple[str, ...]:
    """What a policy's ``script-src`` must name so that the template's own scripts run: ``'sha256-...'``, once for each text.

    Raises:
        TemplateError: a script has Liquid in it, is of another type, or does not end; the text names its line.
    """
    return tuple(dict.fromkeys(_hash(script.code) for script in _own_scripts(template)))


def _own_scripts(template: str) -> Iterator[_Script]:
    """Scripts without an address, in their order. Those with one are :func:`review_page.elements.check_elements`'s to refuse."""
    text = _LIQUID_COMMENT.sub(lambda found: "\n" * found[0].count("\n"), template)
    at = 0
    while (begins := _BEGINS.search(text, at)) is not None:
        line = text.count("\n", 0, begins.start()) + 1
        found = _SCRIPT.match(text, begins.start())
        if found is None:
            raise _refusal(line, "has no end tag")
        at = found.end()
        script = _Script(line, found["attributes"], found["code"])
        if not _SOURCE.search(script.attributes):
            _check(script)
            yield script


def _check(script: _Script) -> None:
    kind = _TYPE.search(script.attributes)
    if kind is not None and kind[1].lower() not in _TYPES:
        raise _refusal(script.line, f"of type {kind[1][:80]!r} is not supported; there are text/javascript and module")
    if any(mark in script.attributes + script.code for mark in ("{{", "{%")):
        raise _refusal(
            script.line,
            "has Liquid in it, so a task's text could become code. Write values into the page, as in "
            '<div id="task" data-labels="{{ task.input.labels | to_json | escape }}">, and let the script read them',
        )
    if "<!--" in script.code:
        raise _refusal(script.line, "has <!-- in it, after which it would not end where it seems to")


def _hash(code: str) -> str:
    """Of the text as the browser has it: it reads every line break as a line feed."""
    text = code.replace("\r\n", "\n").replace("\r", "\n")
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode(errors='replace')).digest()).decode()}'"


def _refusal(line: int, why: str) -> TemplateError:
    return TemplateError(f"line {line}: the element script {why}")
