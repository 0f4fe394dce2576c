"""A job's checkpoint: whole or not there, and nothing else ever lies in the folder that is copied to S3."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from model_code import checkpoint

STATE = {"progress": {"next": 2}, "weights": torch.arange(4.0)}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "job-1.pt"
    assert checkpoint.load(path) is None
    checkpoint.save(STATE, path)
    found = checkpoint.load(path)
    assert found is not None
    assert (found["progress"], found["weights"].tolist()) == (STATE["progress"], [0, 1, 2, 3])


def test_a_checkpoint_that_would_run_code_is_named_and_runs_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"trainer": Planted()}, tmp_path / "job-1.pt")
    assert checkpoint.load(tmp_path / "job-1.pt") is None
    assert not (tmp_path / "ran").exists()
    assert "the checkpoint job-1.pt cannot be read" in capsys.readouterr().out


def test_no_temporary_file_lies_in_the_folder_that_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "job-1.pt", torch.save
    path.write_bytes(b"the one before")
    seen: list[list[str]] = []

    def watched(state: Any, target: Any) -> None:
        write(state, target)
        seen.append([item.name for item in tmp_path.iterdir()])

    monkeypatch.setattr(torch, "save", watched)
    checkpoint.save(STATE, path)
    assert seen == [["job-1.pt"]]
    assert [item.name for item in tmp_path.iterdir()] == ["job-1.pt"]
    assert checkpoint.load(path) is not None


def test_a_folder_on_another_file_system_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(source: Any, target: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "rename", rename)
    checkpoint.save(STATE, tmp_path / "job-1.pt")
    assert checkpoint.load(tmp_path / "job-1.pt") is not None


def test_a_checkpoint_that_was_cut_is_named_and_the_training_starts_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "job-1.pt"
    checkpoint.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-100])
    assert checkpoint.load(path) is None
    assert "the checkpoint job-1.pt cannot be read" in capsys.readouterr().out
