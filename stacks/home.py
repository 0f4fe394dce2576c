"""A home folder that can be written to: the user's own, or where that is missing or read-only, one in the project's cache.

The CDK's Node.js process unpacks its libraries below it, matplotlib and others keep what they made there.
"""

from __future__ import annotations

import os
from pathlib import Path

OWN = Path(__file__).resolve().parent.parent / ".cache" / "home"


def is_usable(folder: str) -> bool:
    """Whether the folder is there and this user may write into it."""
    return bool(folder) and Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK)


def ensure() -> None:
    """Give this process and all that it starts a home to write to."""
    if not is_usable(os.environ.get("HOME", "")):
        OWN.mkdir(parents=True, exist_ok=True)
        os.environ["HOME"] = str(OWN)
