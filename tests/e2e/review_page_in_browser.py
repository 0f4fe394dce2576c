"""What the tests of the review page in a real browser share: a task of the app's own template, a signed-in browser, the task's frame."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from page_server import PageServer, asked
from playwright.sync_api import Browser, BrowserContext, Error, FrameLocator, Page, expect

OWN = (Path(__file__).resolve().parents[2] / "stacks" / "constructs" / "worker_template.liquid").read_text(encoding="utf-8")
WAIT_MS = 45_000
SHOWN = "iframe[data-ready=true]:not([hidden])"
# Until a frame is painted for the first time, Chromium drops what is pressed in it. A frame out of view is not painted at all.
_PAINTED = """() => Promise.race([new Promise((done) => setTimeout(done, 1000)),
new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))])"""
SENTIMENT = ["negative", "neutral", "positive", "cannot-tell"]


def classify(text: str, labels: list[str] | None = None, template: str = OWN, **changes: Any) -> Any:
    """A task of the template that the stacks deploy."""
    shown = re.sub(r"\{\{ task.input.labels[^}]*\}\}", lambda _: html.escape(json.dumps(labels or SENTIMENT)), template)
    shown = shown.replace("{{ task.input.text }}", html.escape(text)).replace(shown.split("\n", maxsplit=1)[0], "")
    return asked(shown, **{"title": "Which label fits?", **changes})


def signed_in(browser: Browser, served: PageServer, user: str = "ann", **options: Any) -> BrowserContext:
    made = browser.new_context(base_url=served.url, **options)
    made.add_cookies([{"name": "user", "value": user, "url": served.url}])
    made.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    return made


def frame_of(page: Page) -> FrameLocator:
    """The frame of the task that is shown, once it can be seen."""
    expect(page.locator(SHOWN)).to_be_visible()
    frame = page.frame_locator(SHOWN)
    try:
        frame.locator("body").evaluate(_PAINTED)
    except Error:  # the next task has just taken its place
        frame.locator("body").evaluate(_PAINTED)
    return frame


def press(page: Page, key: str) -> None:
    """Press a key as a person does: not before the task is to be seen."""
    if page.locator("iframe:not([hidden])").count():
        frame_of(page)
    page.keyboard.press(key)


def text_of(page: Page) -> Any:
    return frame_of(page).locator("classification-target")


def answers(served: PageServer) -> list[Any]:
    return [one.answer for one in served.store.tasks.values()]


def label(name: str) -> dict[str, Any]:
    return {"category": {"label": name}}
