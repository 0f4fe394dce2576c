"""What starting a container's program costs: as a Python process of its own, or forked from a process that has imported torch."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_aws.tools.launcher import IMAGE_MODULES
from local.bench.measure import Comparison, Way

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "embedded_aws" / "core"
PROGRAM = ("-m", "model_code.train", "--layers", "0")
"""Imports everything a training job does, and then refuses its own arguments: what is left is the start."""
READY_SECONDS = 60


class NotReady(RuntimeError):
    """The fork server did not come up."""


@contextmanager
def start(folder: Path) -> Iterator[Comparison]:
    """Compare both ways, with a fork server of its own. ``folder`` is empty and gets the server's socket. Raises NotReady."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen(
        [sys.executable, "-I", str(CORE / "fork_server.py"), "socket", "", *IMAGE_MODULES], cwd=folder, env=environment
    )

    def run(*python: str) -> None:
        done = subprocess.run([*python, *PROGRAM], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if "layers = 0" not in done.stderr:
            raise NotReady(f"the program did not come as far as its arguments: {done.stderr[-500:]}")

    try:
        deadline = time.monotonic() + READY_SECONDS
        while not (folder / "socket").exists():
            if server.poll() is not None or time.monotonic() > deadline:
                raise NotReady(f"the fork server did not come up within {READY_SECONDS} s")
            time.sleep(0.05)
        forked = (sys.executable, "-IS", str(CORE / "fork_client.py"), sys.executable, str(folder / "socket"), "")
        yield Comparison(
            "start",
            "from nothing to the first line of a training job's own code",
            "start",
            (Way("a Python of its own", lambda: run(sys.executable)), Way("forked, imports shared", lambda: run(*forked))),
        )
    finally:
        server.kill()
        server.wait()
