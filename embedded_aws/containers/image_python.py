"""The Python that stands for the SageMaker images: a job's ``python3``, a variant's toolkit.

``EMBEDDED_AWS_CONTAINER_PYTHON`` names it. With modules to preload, every container is forked from one process that has imported them: see
``embedded_aws/core/shared_imports.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

from embedded_aws.core import background, shared_imports

IMAGE_PYTHON = Path(os.environ.get("EMBEDDED_AWS_CONTAINER_PYTHON", ".venv/bin/python")).absolute()
PRELOAD = tuple(filter(None, os.environ.get("EMBEDDED_AWS_PRELOAD", "").split(","))) if shared_imports.AVAILABLE else ()
"""Modules that containers find imported."""

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
    """With modules to preload: start the process that has them, and write the ``python3`` that asks it."""
    if not PRELOAD:
        return
    shared_imports.SharedPython(
        name="image-python", python=IMAGE_PYTHON, modules=PRELOAD, program=Path(PYTHON),
        variables=_READ_ON_IMPORT, same=("HF_HUB_OFFLINE", "OMP_NUM_THREADS"),
    ).start()  # fmt: skip
