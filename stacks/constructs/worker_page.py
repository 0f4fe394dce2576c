"""The page on which people answer: ``worker_template.liquid`` with the guidelines of the settings written into it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

from stacks.constructs.function_archive import staging_root
from stacks.settings.file import SettingsError
from stacks.settings.guidelines import GuidelinesSettings, LabelGuidelines

TEMPLATE = Path(__file__).with_name("worker_template.liquid")
MOST_BYTES = 100_000
"""SageMaker takes 128,000 characters (API reference, ``TemplateContent``). A stack's update sends the page and the one before it together
in one event, for which there is room in the 256 KB that a function and a step of a state machine surely take."""
_OWN = 'dir="auto"'
"""The direction of each sentence is its own."""
_QUESTION = re.compile(r'(<crowd-classifier\b[^>]*?\sheader=")[^"]*(")')
_INSTRUCTIONS = re.compile(r"(<full-instructions\b[^>]*>)(.*?)(\s*</full-instructions>)", re.DOTALL)


def worker_page(said: GuidelinesSettings) -> str:
    """The worker template as people get it. Equal guidelines give equal bytes, and none leave the file as it is.

    Raises:
        SettingsError: the file has no place for them, or the page is too long.
    """
    page = TEMPLATE.read_text(encoding="utf-8")
    if said.question is not None:
        question = inert(said.question)
        page = _written(page, _QUESTION, lambda found: f"{found[1]}{question}{found[2]}", "one crowd-classifier with a header")
    if said.rules is not None or said.labels:
        page = _written(page, _INSTRUCTIONS, lambda found: f"{found[1]}{_instructions(found[2], said)}{found[3]}", "one full-instructions")
    size = len(page.encode())
    if size > MOST_BYTES:
        raise SettingsError(
            f"review.guidelines make a worker page of {size} bytes, and it may have {MOST_BYTES}: write fewer or shorter sentences and "
            "examples"
        )
    return page


def guidelines(said: GuidelinesSettings) -> str:
    """Version of the worker page with its guidelines: labels are stored with it."""
    return hashlib.sha256(worker_page(said).encode()).hexdigest()[:12]


def worker_page_file(said: GuidelinesSettings) -> Path:
    """The page as a file of the template's own name, for an asset."""
    path = staging_root() / "worker-pages" / guidelines(said) / TEMPLATE.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(worker_page(said).encode())
    return path


def inert(text: str) -> str:
    """A text that is no code for a browser, for Liquid or for the CDK, and that people see as it is written."""
    return escape(text).replace("{", "&#123;").replace("}", "&#125;")


def _written(page: str, place: re.Pattern[str], write: Callable[[re.Match[str]], str], what: str) -> str:
    written, places = place.subn(write, page)
    if places != 1:
        raise SettingsError(
            f"review.guidelines cannot be written into {TEMPLATE.name}: it must have {what}, and has {places}. Write the guidelines into "
            "the file itself, and leave review.guidelines out"
        )
    return written


def _instructions(present: str, said: GuidelinesSettings) -> str:
    """The labels come first: their examples are what people look for while they read."""
    lines = [""]
    if said.labels:
        lines += ["      <dl>", *(line for key, one in said.labels.items() for line in _label(key, one)), "      </dl>"]
    if said.rules is None:
        return "\n".join(lines) + present.rstrip()
    return "\n".join([*lines, "      <ul>", *(f"        <li {_OWN}>{inert(one)}</li>" for one in said.rules), "      </ul>"])


def _label(key: str, one: LabelGuidelines) -> Iterator[str]:
    """Each example says whether it fits: outside the app's own page the two elements look alike."""
    yield f"        <dt {_OWN}>{inert(one.heading(key))}</dt>"
    yield "        <dd>"
    yield f"          <p {_OWN}>{inert(one.means)}</p>"
    for element, word, examples in (("positive-example", "Fits:", one.fits), ("negative-example", "Does not fit:", one.does_not_fit)):
        for example in examples:
            text = f'<span lang="" {_OWN}>{inert(example)}</span>'
            yield f"          <{element}><p><strong>{word}</strong> {text}</p></{element}>"
    yield "        </dd>"
