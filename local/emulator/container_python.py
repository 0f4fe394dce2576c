"""The Python that stands for the SageMaker images: a job's ``python3``, a variant's toolkit.

It is the project's own environment (torch, transformers). With shared imports every container is forked from one process that has
imported them: see ``local/container/fork_server.py``.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from local.emulator import background

IMAGE_PYTHON = Path(os.environ.get("REVIEWLOOP_CONTAINER_PYTHON", ".venv/bin/python")).absolute()
SHARED_IMPORTS = os.environ.get("REVIEWLOOP_SHARED_IMPORTS") == "1" and sys.platform == "linux"
IMPORTED = (
    "torch", "torch._dynamo", "transformers", "transformers.models.auto", "transformers.models.bert.modeling_bert",
    "safetensors.torch", "sklearn.linear_model", "sklearn.feature_extraction.text",
)  # fmt: skip
"""What the image has and model code asks for; never model code itself, which each job brings along."""

_CONTAINER = Path(__file__).resolve().parents[1] / "container"
_SOCKET = background.RUN_DIR / "fork-server"
_READ_ON_IMPORT = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

PYTHON = str(background.RUN_DIR / "bin" / "python3" if SHARED_IMPORTS else IMAGE_PYTHON)
SEARCH_PATH = os.pathsep.join(dict.fromkeys((str(Path(PYTHON).parent), str(IMAGE_PYTHON.parent))))
"""The image's part of ``PATH``."""


def install() -> None:
    """With shared imports: start the process that has them, and write the ``python3`` that asks it. It needs some seconds to be ready."""
    if not SHARED_IMPORTS:
        return
    program = Path(PYTHON)
    program.parent.mkdir(parents=True, exist_ok=True)
    command = shlex.join([str(IMAGE_PYTHON), "-IS", str(_CONTAINER / "fork_client.py")])
    program.write_text(f'#!/bin/sh\nexec {command} "$0" {shlex.quote(str(_SOCKET))} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH") if key in os.environ}
    _SOCKET.unlink(missing_ok=True)  # of one that was stopped
    background.spawn(
        [str(IMAGE_PYTHON), "-I", str(_CONTAINER / "fork_server.py"), _SOCKET.name, *IMPORTED],
        environment={**environment, **_READ_ON_IMPORT},
        cwd=background.RUN_DIR,
        log_file=background.RUN_DIR / "logs" / "fork-server.log",
    )
