"""The dry run of the pipelines, as ``make pipeline-dry-run`` starts it. It takes minutes, so only its end by a signal is tried here.

Its parts have tests of their own: the workflows' commands (test_workflow_commands.py), the roles (test_pipeline_access.py), and the command
that a bad challenger fails (test_release_commands.py).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from embedded_aws.tools import launcher, processes

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def test_one_that_is_told_to_end_leaves_nothing_running(tmp_path: Path) -> None:
    command, environment = [sys.executable, "-m", "local.pipeline"], {**os.environ, "TMPDIR": str(tmp_path)}
    run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert any(line == "      synthesise the roles\n" for line in run.stdout or ())
        (folder,) = tmp_path.glob("pipeline-dry-run-*")
        started = launcher.find(folder / "run")
        assert started is not None
        children = processes.descendants(run.pid)
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=60) == 130
    finally:
        run.kill()
    assert not started.is_alive()
    assert [pid for pid, identity in children.items() if processes.identity(pid) == identity] == []
    assert list(tmp_path.iterdir()) == []
