"""What all tests share: the synthesised app, once a stage and test run."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from synthesis import synth

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # a timing is a benchmark, never a test


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Callable[[str], Path]:
    """``synthesised("dev")`` -> the assembly's folder, which workers share and nobody may change."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def assembly(stage: str) -> Path:
        output = shared / f"assembly-{stage}" / "cdk.out"
        output.parent.mkdir(exist_ok=True)
        with (output.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (output / "manifest.json").exists():
                synth(stage, output)
        return output

    return assembly
