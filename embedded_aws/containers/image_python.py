"""The Python that stands for the SageMaker images: a job's ``python3``, a variant's toolkit.

``EMBEDDED_AWS_CONTAINER_PYTHON`` names it. With modules to preload, every container is forked from one process that has imported them: see
``embedded_aws/containers/fork_server.py``.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from embedded_aws.core import background

IMAGE_PYTHON = Path(os.environ.get("EMBEDDED_AWS_CONTAINER_PYTHON", ".venv/bin/python")).absolute()
PRELOAD = tuple(filter(None, os.environ.get("EMBEDDED_AWS_PRELOAD", "").split(","))) if sys.platform == "linux" else ()
"""Modules that containers find imported."""

_CONTAINER = Path(__file__).resolve().parent
_SOCKET = background.RUN_DIR / "fork-server"
_READ_ON_IMPORT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}

PYTHON = str(background.RUN_DIR / "bin" / "python3" if PRELOAD else IMAGE_PYTHON)
SEARCH_PATH = os.pathsep.join(dict.fromkeys((str(Path(PYTHON).parent), str(IMAGE_PYTHON.parent))))
"""The image's part of ``PATH``."""


def install() -> None:
    """With modules to preload: start the process that has them, and write the ``python3`` that asks it. It is ready after some seconds."""
    if not PRELOAD:
        return
    program = Path(PYTHON)
    program.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join([str(IMAGE_PYTHON), "-IS", str(_CONTAINER / "fork_client.py")])
    program.write_text(f'#!/bin/sh\nexec {command} "$0" {shlex.quote(str(_SOCKET))} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH") if key in os.environ}
    _SOCKET.unlink(missing_ok=True)  # of one that was stopped
    background.spawn(
        [str(IMAGE_PYTHON), "-I", str(_CONTAINER / "fork_server.py"), _SOCKET.name, *PRELOAD],
        environment={**environment, **_READ_ON_IMPORT},
        cwd=background.RUN_DIR,
        log_file=background.RUN_DIR / "logs" / "fork-server.log",
    )
