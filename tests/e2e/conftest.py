"""What several end-to-end tests use: one browser for all tests of pages, the review page over a store in memory, the demo as a command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_command import Demo
from page_server import PageServer
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from review_page_in_browser import signed_in

CHROMIUM = Path(os.environ.get("REVIEWLOOP_CHROMIUM", "/usr/bin/chromium"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: install Debian's package chromium, or set REVIEWLOOP_CHROMIUM to a Chromium", pytrace=False)
    with sync_playwright() as playwright:
        arguments = [
            "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            # On a busy machine a renderer in the background (a frame that is not shown yet) would hardly ever get its turn.
            "--disable-renderer-backgrounding",
            # With a process for each sandboxed frame, Chromium never confirms a key whose frame is replaced meanwhile: the press waits for
            # ever. This replaces the list of Playwright, of which pages here need the first.
            "--disable-features=PaintHolding,IsolateSandboxedIframes",
        ]  # fmt: skip
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


@pytest.fixture(scope="module")
def served() -> Iterator[PageServer]:
    server = PageServer()
    yield server
    server.close()


@pytest.fixture
def context(browser: Browser, served: PageServer) -> Iterator[BrowserContext]:
    made = signed_in(browser, served, viewport={"width": 1200, "height": 850})
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Whatever the browser complains about fails the test."""
    opened = context.new_page()
    said: list[str] = []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda message: said.append(message.text) if "Content Security Policy" in message.text else None)
    yield opened
    assert said == []
