"""A failure of the demo in words: a full disk is looked for, since it shows in many ways."""

from __future__ import annotations

import argparse
import errno
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
