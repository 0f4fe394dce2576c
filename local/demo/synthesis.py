"""The assembly of a run's settings. It is kept, and used again while everything that it is made of is the same: the same input gives
the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from stacks.settings import Settings, settings_text
from stacks.synthesis import synthesise

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".build" / "assemblies"
MOST_KEPT = 10
INPUTS = (
    "app.py", "cdk.json", "contracts", "lambdas", "model_code", "package-lock.json", "requirements.lock",
    "review_page", "settings", "stacks",
)  # fmt: skip
"""Files and folders that an assembly is made of, besides the settings and the layer, which is built of ``lambdas/layer``."""


def assembly(settings: Settings, output: Path) -> bool:
    """Write the assembly of these settings to ``output``, a new folder; returns whether it was there already.

    Raises:
        SynthesisFailed: the CDK found a fault.
    """
    document = settings_text(settings)
    kept = KEPT / _key(document)
    reused = (kept / "manifest.json").exists()
    if not reused:
        _synthesise(document, kept)
    shutil.copytree(kept, output)
    return reused


def _key(document: str) -> str:
    digest = hashlib.sha256(f"{platform.python_version()}\n{document}".encode())
    for path in inputs():
        digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def inputs() -> Iterator[Path]:
    """Every file that an assembly is made of."""
    for name in INPUTS:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in found if one.is_file() and "__pycache__" not in one.parts)


def _synthesise(document: str, kept: Path) -> None:
    """Into a folder that gets its name last, so what is there is whole."""
    unfinished = kept.with_name(f"{kept.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        settings = unfinished / "settings.yaml"
        settings.write_text(document, encoding="utf-8")
        synthesise(unfinished / "cdk.out", settings=settings)
        _make_room()
        if not kept.exists():
            (unfinished / "cdk.out").rename(kept)
    finally:
        shutil.rmtree(unfinished)


def _make_room() -> None:
    """Keep the newest assemblies only, and one place for the next."""
    there = sorted((path for path in KEPT.iterdir() if "." not in path.name), key=lambda path: path.stat().st_mtime)
    for path in there[: max(0, len(there) - MOST_KEPT + 1)]:
        shutil.rmtree(path)
