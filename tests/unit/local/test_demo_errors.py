"""A failure of the demo in words: a full disk is looked for, since it shows in many ways."""

from __future__ import annotations

import argparse
import errno
import os
import pty
from collections import namedtuple
from pathlib import Path

import pytest

from local.demo import __main__ as demo
from local.demo.session import DemoFailed

Usage = namedtuple("Usage", "total used free")


def in_words(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, free: int) -> str:
    monkeypatch.setattr(demo.shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - free, free))
    arguments = argparse.Namespace(run_dir=tmp_path / "not" / "there" / "yet", output=tmp_path)
    return demo._in_words(error, arguments)


@pytest.mark.parametrize("error", [DemoFailed("synthesis failed: copyfile"), OSError(errno.ENOSPC, "No space left on device", "x")])
def test_with_no_room_the_disk_is_named_with_the_error(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = in_words(error, tmp_path, monkeypatch, free=1_000)
    assert said.startswith("the disk is full")
    assert "make room" in said
    assert str(tmp_path) in said
    assert "copyfile" in said or "No space left" in said


def test_with_room_the_error_speaks_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert in_words(DemoFailed("no alarm"), tmp_path, monkeypatch, free=10**9) == "no alarm"
    assert in_words(OSError(errno.EACCES, "Permission denied", "/x"), tmp_path, monkeypatch, free=10**9) == "Permission denied (/x)"


def closed_terminal(monkeypatch: pytest.MonkeyPatch) -> demo._Terminal:
    """A terminal whose other end is closed, as the run's standard output."""
    screen, terminal = pty.openpty()
    stream = os.fdopen(terminal, "w")
    monkeypatch.setattr(demo.sys, "stdout", stream)
    made = demo._Terminal()
    os.close(screen)
    return made


def test_a_write_to_a_closed_terminal_interrupts_the_run_and_later_ones_go_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = closed_terminal(monkeypatch)
    with pytest.raises(KeyboardInterrupt), terminal.interrupts_when_closed():
        print("a line", file=demo.sys.stdout, flush=True)
    print("another one", file=demo.sys.stdout, flush=True)


def test_another_error_of_the_disk_is_no_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = closed_terminal(monkeypatch)
    with pytest.raises(OSError, match="full"), terminal.interrupts_when_closed():
        raise OSError(errno.ENOSPC, "full")
