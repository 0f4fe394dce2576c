"""Texts whose line breaks a browser would change: what it sends is what the server expects, and offsets are those of the text itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from page_server import PageServer, asked
from playwright.sync_api import Page, expect
from review_page_in_browser import answers, frame_of

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
RENDER = """
import json, sys
from review_page.templates import render
print(json.dumps(render(*json.load(sys.stdin), str)))
"""
TEMPLATE = """<crowd-form>
<crowd-entity-annotation name="e" header="Mark" labels="['word']" text="{{ task.input.text }}"></crowd-entity-annotation>
<input type="hidden" name="plain" value="{{ task.input.text }}">
<input type="hidden" name="raw" value="{{ task.input.text | skip_autoescape }}">
<input type="hidden" name="fixed" value="?a=1&copy=2"><input type="hidden" name="odd" value="{{ task.input.odd }}">
<select name="where"><option>{{ task.input.place }}</option></select><crowd-text-area name="why" min-length="3"></crowd-text-area>
</crowd-form>"""


def rendered(template: str, task_input: dict[str, Any]) -> str:
    done = subprocess.run(
        [ROOT / ".venv-emulator" / "bin" / "python", "-c", RENDER], input=json.dumps([template, task_input]),
        capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, check=True,
    )  # fmt: skip
    return str(json.loads(done.stdout))


@pytest.mark.parametrize("text", ["ab\r\ncd\r\nWORD", "ab\rcd\r\r\nWORD", "👍\r\n\r\n  WORD"])
def test_what_the_browser_sends_is_accepted_and_offsets_are_those_of_the_text(page: Page, served: PageServer, text: str) -> None:
    served.hold(asked(rendered(TEMPLATE, {"text": text, "odd": "\0 é", "place": "New\xa0York\r\n"})))
    page.goto("/worker")
    frame = frame_of(page)

    box = frame.locator(".entity-text")
    box.focus()
    for _ in text.split():
        box.press("ArrowRight")
    box.press("1")
    frame.get_by_role("textbox").fill("👍👍")
    frame.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()

    [given] = answers(served)
    [entity] = given["e"]["entities"]
    assert text[entity["startOffset"] : entity["endOffset"]] == "WORD"
    assert given["plain"] == text
    assert given["raw"] == text.replace("\r\n", "\n").replace("\r", "\n")
    assert (given["fixed"], given["odd"]) == ("?a=1&copy=2", "\ufffd é")
    assert (given["where"], given["why"]) == ("New\xa0York", "👍👍")
