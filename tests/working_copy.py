"""The working tree copied into another folder, with the environments that are installed here: for what depends on the folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = (".venv", ".venv-emulator", "node_modules", ".build/layer", ".build/page-layer", ".cache")
"""Taken from here by link."""
_LEFT_OUT = (".git", ".run", "out", "cdk.out", "cdk.context.json", ".build", *INSTALLED, "__pycache__", ".*_cache", ".hypothesis")
_LONG_AGO = 946_684_800


def copy_to(folder: Path) -> Path:
    """``folder`` with the sources, older than the marks of what is installed, so that make finds nothing to install."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True)
    for path in folder.rglob("*"):
        os.utime(path, (_LONG_AGO, _LONG_AGO))
    (ROOT / ".cache").mkdir(exist_ok=True)  # a fresh clone has none, and nothing can be made below a link to nowhere
    for name in INSTALLED:
        link = folder / name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to((ROOT / name).resolve())
    return folder
