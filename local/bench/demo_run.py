"""One demo in a process of its own, with what it left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded_aws.tools.launcher import ROOT, free_port


@dataclass(frozen=True)
class DemoRun:
    """One demo: its exit code (``local.demo --help`` has them) and its summary, empty when it wrote none.

    ``megabytes`` is the most memory of the demo's own process; tuning, models and the embedded AWS have others.
    """

    code: int
    summary: dict[str, Any]
    seconds: float = 0.0
    megabytes: int = 0

    @property
    def ended(self) -> bool:
        """Whether the loop came to an end. A refusal of every model by the gates is an end, too."""
        return self.code in (0, 3)


def run_demo(options: Sequence[str], output: Path, run_dir: Path) -> DemoRun:
    """Run one demo to its end, with an embedded AWS of its own. An interruption stops the demo, too.

    Args:
        options: of ``python -m local.demo``.
        output: gets ``demo.log``, ``summary.json`` and the reports.
    """
    output.mkdir(parents=True, exist_ok=True)
    summary = output / "summary.json"
    summary.unlink(missing_ok=True)
    command = [sys.executable, "-m", "local.demo", *options, "--port", str(free_port()), "--output", str(output), "--run-dir", str(run_dir)]
    began = time.monotonic()
    # A session of its own: Ctrl-C reaches the demo once, from here, and it ends what it has started.
    with (output / "demo.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    except BaseException:
        process.terminate()
        process.wait()
        raise
    found = json.loads(summary.read_text(encoding="utf-8")) if summary.exists() else {}
    return DemoRun(process.returncode, found, time.monotonic() - began, used.ru_maxrss // 1_024)
