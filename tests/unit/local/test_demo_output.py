"""What the demo prints where nobody watches it run: whole lines, and nothing where a bar would have been."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from embedded_aws.tools.launcher import Emulator
from local.demo import keep
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


def test_whoever_signs_in_is_told_when_a_text_has_its_label_and_what_the_first_sign_in_asks_for() -> None:
    dev, hosted = (load_settings(ROOT / "settings" / f"{stage}.yaml") for stage in ("dev", "newacct"))
    assert [hint.partition(":")[0] for hint in keep.hints(dev)] == ["a text gets its label once 3 of the users have answered it"]
    said = keep.hints(hosted)
    assert "authenticator app" in said[0]
    assert said[1].startswith("a text gets its label once two of the users agree about it, of 3 at most")
    assert "lead" in said[2]


def test_the_console_commands_are_told_with_the_settings_of_the_run(tmp_path: Path) -> None:
    settings = load_settings(ROOT / "settings" / "dev.yaml")
    session = Session(Emulator(0, 0, tmp_path / "run"), settings, tmp_path / "out", Summary(), Console())
    assert f"--run-dir {tmp_path / 'run'}" in keep.commands(session)[1]
    assert keep.commands(session)[2].endswith(f"--stage {tmp_path / 'out' / 'settings.yaml'}")
    session.budget = replace(session.budget, overrides=())
    assert keep.commands(session)[2].endswith("--stage dev")
