"""What the demo prints where nobody watches it run: whole lines, and nothing where a bar would have been."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from embedded_aws.tools.launcher import Emulator
from local.demo.session import Session
from local.demo.summary import Summary
from stacks.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
LONG = "macro-F1 0.123 " * 12 + "end"


def printed(tmp_path: Path, *, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=terminal, soft_wrap=not terminal)
    settings = load_settings(ROOT / "settings" / "dev.yaml")
    session = Session(Emulator(0, 0, tmp_path), settings, tmp_path, Summary(), console)
    with session.step("1 data"):
        with session.progress("working", 2) as update:
            update(1)
        session.say(LONG)
    return stream.getvalue()


def test_a_file_gets_whole_lines_and_no_bars(tmp_path: Path) -> None:
    assert printed(tmp_path, terminal=False) == f"\n1 data\n  {LONG}\n"


@pytest.mark.parametrize("part", ["working", "1/2"])
def test_a_terminal_gets_bars(tmp_path: Path, part: str) -> None:
    assert part in printed(tmp_path, terminal=True)
