"""What all tests share: the synthesised app, once a stage and test run; and how the workers divide the tests among them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from synthesis import ROOT
from xdist.scheduler import LoadFileScheduling

from embedded_aws.testing.selection import pytest_ignore_collect, unread
from local.assemblies import assembly as kept_assembly
from stacks.settings import load_settings
from stacks.synthesis import QUICKLY

__all__ = ["pytest_ignore_collect"]
# Before anything imports torch. Two workers with two threads each would wait for one another: on a busy machine a job of 4 s took 40 s.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
os.environ |= QUICKLY  # before a stack's test starts the CDK, whose warnings no test reads
settings.register_profile("untimed", deadline=None)  # a timing is a benchmark, never a test
settings.register_profile("quick", deadline=None, max_examples=25)  # of `make test-unit`; `make test` tries hypothesis' hundred
settings.load_profile("untimed")

CDK_TESTS = "tests/infrastructure"
"""One worker runs this folder, so that each template is made once and only one Node.js process makes them."""
MODEL_TESTS = (
    "tests/unit/model_code",
    *(f"tests/unit/local/test_{name}.py" for name in ("bench_rollout", "first_upload", "own_source", "word_pieces")),
)
"""One worker runs these, so that only one imports torch and scipy. Each worker collects every test, so the files import neither."""


class _Files(LoadFileScheduling):
    """A file is a worker's unit of work, and so are the CDK's tests, the unit tests of the model, and each whole run of the demo."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(CDK_TESTS):
            return CDK_TESTS
        return MODEL_TESTS[0] if nodeid.startswith(MODEL_TESTS) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return _Files(config, log) if config.option.dist == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The largest unit of work comes first, so that no worker has it alone in the end."""
    if found := unread(items):
        raise pytest.UsageError(f"write the mark in the test's own file, where pytest_ignore_collect looks for it: {', '.join(found)}")
    items.sort(key=lambda item: not item.nodeid.startswith(CDK_TESTS))


@pytest.fixture(scope="session")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``synthesised("dev")`` -> the assembly's folder, which workers share and nobody may change.

    As for the demo, an assembly is used again while everything that it is made of is the same: CI starts four test runs one after another.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def assembly(stage: str) -> Path:
        output = shared / f"assembly-{stage}" / "cdk.out"
        output.parent.mkdir(exist_ok=True)
        with (output.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not output.exists():
                kept_assembly(load_settings(ROOT / "settings" / f"{stage}.yaml"), output)
        return output

    return assembly
