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
from xdist.workermanage import WorkerController

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


DEMO_RUNS = "tests/e2e/test_demo_variants.py"
"""Its tests share nothing: each is a whole run, and any worker may take the next one."""
LONGEST = (
    CDK_TESTS,
    "tests/e2e/test_operations_commands.py",  # of `make test-commands`: this and its runs, so that two go on at once until its end
    "tests/e2e/test_demo.py",
    f"{DEMO_RUNS}::test_a_challenger_of_flipped_labels",
    "tests/e2e/test_demo_own_file.py",
    "tests/e2e/test_smoke.py",
    DEMO_RUNS,
    "tests/unit/lambdas/review/test_review_functions_machine.py",  # of `make test-slow`, with the ones below
    "tests/app/test_release_commands.py",
    "tests/app/test_killed_rollout.py",
    "tests/app/test_rollout.py",
    "tests/e2e/test_cdk_cli.py",
    "tests/e2e/test_deployed_review_page.py",
    "tests/app/test_hosted_review.py",
    "tests/app/test_app_capture.py",
    "tests/app/test_review_loop.py",
    "tests/app/test_tuning_machine.py",
    "tests/app/test_load_follows_scaling.py",
    "tests/app/test_container.py",  # of `make test`
)
"""The units of work that take minutes, in the order in which they begin; all others come after them."""


class _Files(LoadFileScheduling):
    """A file is a worker's unit of work, and so are the CDK's tests, the unit tests of the model, and each further run of the demo."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(DEMO_RUNS):
            return nodeid
        if nodeid.startswith(CDK_TESTS):
            return CDK_TESTS
        return MODEL_TESTS[0] if nodeid.startswith(MODEL_TESTS) else str(super()._split_scope(nodeid))

    def _reschedule(self, node: WorkerController) -> None:
        """A worker gets its next unit with the last test of its own, which it does not begin before. Two tests ahead, as xdist has it,
        minutes of work waited for one worker while another had nothing to do.
        """
        if not self.workqueue or self._pending_of(self.assigned_work[node]) <= 1:
            super()._reschedule(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return _Files(config, log) if config.option.dist == "loadfile" else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest units of work come first, so that no worker has one alone in the end."""
    if found := unread(items):
        raise pytest.UsageError(f"write the mark in the test's own file, where pytest_ignore_collect looks for it: {', '.join(found)}")
    items.sort(key=lambda item: next((place for place, unit in enumerate(LONGEST) if item.nodeid.startswith(unit)), len(LONGEST)))


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
