"""How many cores a container may use."""

from __future__ import annotations

import os


def cores() -> int:
    """What the training toolkit says (``SM_NUM_CPUS``), else ``OMP_NUM_THREADS``, else all cores of the machine."""
    return int(os.environ.get("SM_NUM_CPUS") or os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
