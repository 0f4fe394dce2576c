"""Folders under names that a shell script may hold without quotes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from embedded_aws.tools.plain_path import LinkTaken, forget, link_of, plain


@pytest.mark.parametrize("name", ["plät form & x", "ada's $(runs)", "[1] *;"])
def test_an_unquoted_script_finds_the_files_of_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    run_dir = tmp_path / name
    job = run_dir / "jobs" / "one"
    job.mkdir(parents=True)
    (job / "code.gz").write_text("here")
    try:
        script = f"cat {plain(job, run_dir)}/*.gz"
        assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "here"
        assert plain(job, run_dir) == link_of(run_dir) / "jobs" / "one", "the second job has the same link"
    finally:
        forget(run_dir)
    assert not link_of(run_dir).is_symlink()


def test_a_plain_folder_stays_as_it_is(tmp_path: Path) -> None:
    assert plain(tmp_path / "run" / "jobs", tmp_path / "run") == tmp_path / "run" / "jobs"
    assert not link_of(tmp_path / "run").is_symlink()


def test_what_somebody_else_made_is_not_used(tmp_path: Path) -> None:
    run_dir = tmp_path / "a b"
    link_of(run_dir).symlink_to(tmp_path)
    try:
        with pytest.raises(LinkTaken, match="remove it"):
            plain(run_dir / "jobs", run_dir)
    finally:
        link_of(run_dir).unlink()
