"""A program that stands for a Python whose imports one process has done already: each run of it is forked from that process.

The two sides are ``fork_server.py``, which imports and forks, and ``fork_client.py``, which the program starts and which stands for the
forked process. Linux only.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedded_aws.core import background

AVAILABLE = sys.platform == "linux"

_HERE = Path(__file__).resolve().parent
_LISTENS_SECONDS = 5.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


@dataclass(frozen=True)
class SharedPython:
    """The program, and the process that it is forked from.

    Fields:
        name: what the socket and the log are called; one per run folder.
        python: the interpreter.
        modules: what every run finds imported. Each must be there.
        program: where the program is written.
        folders: where modules are looked for, before the interpreter's own folders, while they are imported; a run has its own.
        variables: the variables of the process that imports.
        same: of these, a run must have the same values, since libraries read them while they are imported. A run with others gets a Python
            of its own. A name without a value here must be unset.
    """

    name: str
    python: Path
    modules: Sequence[str]
    program: Path
    folders: Sequence[Path] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    same: Sequence[str] = ()

    def start(self) -> None:
        """Write the program and start the process. Once it listens, the program may be run: it waits while the modules are imported.

        When the process does not come up, each run gets a Python of its own.

        Raises:
            OSError: the process cannot be started, or the program not written.
        """
        socket = background.RUN_DIR / self.name
        self.program.parent.mkdir(parents=True, exist_ok=True)
        socket.unlink(missing_ok=True)  # of one that was stopped
        same = ",".join(f"{name}={self.variables.get(name, '')}" for name in self.same)
        command = shlex.join([str(self.python), "-IS", str(_HERE / "fork_client.py")])
        self.program.write_text(f'#!/bin/sh\nexec {command} "$0" {shlex.quote(str(socket))} {shlex.quote(same)} "$@"\n', encoding="utf-8")
        self.program.chmod(0o755)
        inherited = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        folders = os.pathsep.join(map(str, self.folders))
        process = background.spawn(
            [str(self.python), "-I", str(_HERE / "fork_server.py"), socket.name, folders, *self.modules],
            environment={**inherited, **self.variables},
            cwd=background.RUN_DIR,
            log_file=background.RUN_DIR / "logs" / f"{self.name}.log",
        )
        deadline = time.monotonic() + _LISTENS_SECONDS
        while not socket.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
