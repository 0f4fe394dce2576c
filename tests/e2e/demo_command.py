"""``python -m local.demo`` as its user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded_aws.tools import launcher, processes

ROOT = Path(__file__).resolve().parents[2]
LONGEST_SECONDS = 1_800
"""Of one whole run, beside which two others may go on. It ends a run that hangs; it says nothing of how long one should take."""


@dataclass
class Demo:
    """One call of the demo, in a folder of its own; ``project`` is where its code is."""

    folder: Path
    project: Path = ROOT

    def start(self, *options: str, nohup: bool = False, **variables: str) -> subprocess.Popen[str]:
        port = [] if "--port" in options else ["--port", str(launcher.free_port())]
        where = ["--output", str(self.folder / "out"), "--run-dir", str(self.folder / "run")]
        return subprocess.Popen(
            [*(["nohup"] if nohup else []), str(self.project / ".venv" / "bin" / "python"), "-m", "local.demo", *where, *port, *options],
            cwd=self.project, env={**os.environ, "COLUMNS": "400", **variables}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *options: str, **variables: str) -> tuple[int, str]:
        process = self.start(*options, **variables)
        said, _ = process.communicate(timeout=LONGEST_SECONDS)
        return process.returncode, said

    @property
    def summary(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "out" / "summary.json").read_text(encoding="utf-8"))
        return content

    def leftovers(self) -> list[int]:
        """Processes whose command or variables name this demo's folder."""
        mark = str(self.folder).encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    named = mark in (entry / "cmdline").read_bytes() or mark in (entry / "environ").read_bytes()
                except OSError:
                    continue
                if named and processes.identity(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def comes_up(self) -> None:
        record = self.folder / "run" / "emulator.json"
        deadline = time.monotonic() + 60
        while not record.exists():
            assert time.monotonic() < deadline, "the embedded AWS did not come up"
            time.sleep(0.02)
