"""What several end-to-end tests use: one browser for all tests of pages, and the demo as a command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo_command import Demo
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = Path(os.environ.get("REVIEWLOOP_CHROMIUM", "/usr/bin/chromium"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: install Debian's package chromium, or set REVIEWLOOP_CHROMIUM to a Chromium", pytrace=False)
    with sync_playwright() as playwright:
        # On a busy machine a renderer in the background (a frame that is not shown yet) would hardly ever get its turn.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-renderer-backgrounding"]
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)
