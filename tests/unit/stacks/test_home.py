"""A home folder to write to: the user's own, else one of the project's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stacks import home

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("given", ["/dev/null/home", "/not/there", "", None])
def test_a_home_that_cannot_be_written_to_is_replaced(given: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "OWN", tmp_path / "home")
    if given is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", given)
    home.ensure()
    assert os.environ["HOME"] == str(tmp_path / "home")
    assert (tmp_path / "home").is_dir()


def test_the_users_own_home_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    home.ensure()
    assert os.environ["HOME"] == str(tmp_path)


def test_a_command_that_imports_the_stacks_has_one() -> None:
    code = "import os, stacks; print(os.access(os.environ['HOME'], os.W_OK))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={"HOME": "/dev/null/home"}, capture_output=True, text=True, check=False
    )
    assert done.stdout == "True\n", done.stderr
