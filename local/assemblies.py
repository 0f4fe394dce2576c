"""The assembly of a run's settings. It is kept, and used again while everything that it is made of is the same: the same input gives
the same bytes. Folders get their names last and lose them first, so one that has its name is whole, whoever was interrupted.

``python -m local.assemblies SETTINGS OUTPUT`` is for `make lint`, whose assemblies the tests and the demo use again.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from stacks.settings import Settings, SettingsError, load_settings, settings_text
from stacks.synthesis import SynthesisFailed, synthesise

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / ".build" / "assemblies"
MOST_KEPT = 10
INPUTS = (
    "app.py", "cdk.json", "contracts", "lambdas", "model_code", "package-lock.json", "requirements.lock",
    "review_page", "settings", "stacks",
)  # fmt: skip
"""Files and folders that an assembly is made of, besides the settings and what is installed."""
INSTALLED = (".venv/.installed", ".build/layer/.installed")
"""Written when the CDK and the layers are installed. A lock file may already be newer than what was installed by it."""


def assembly(settings: Settings, output: Path) -> bool:
    """Write the assembly of these settings to ``output``, a new folder; returns whether it was there already.

    Raises:
        SynthesisFailed: the CDK found a fault.
    """
    document = settings_text(settings)
    key = _key(document)
    kept = KEPT / key
    with _alone():
        reused = kept.exists()
        if reused:
            os.utime(kept)  # the ones that are used least go first
            _copy(kept, output)
    if not reused:
        _synthesise(document, output)
        if _key(document) == key:  # else an input was changed meanwhile, and nobody knows which state was read
            with _alone():
                _make_room()
                if not kept.exists():
                    _copy(output, kept)
    return reused


@contextmanager
def _alone() -> Iterator[None]:
    """No other process reads or changes what is kept."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy(source: Path, target: Path) -> None:
    unfinished = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        shutil.copytree(source, unfinished)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _key(document: str) -> str:
    digest = hashlib.sha256(f"{platform.python_version()}\n{document}".encode())
    for path in inputs():
        digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    for name in INSTALLED:
        path = ROOT / name
        digest.update(f"{name} {path.stat().st_mtime_ns if path.exists() else None}\n".encode())
    return digest.hexdigest()[:16]


def inputs() -> Iterator[Path]:
    """Every file that an assembly is made of."""
    for name in INPUTS:
        path = ROOT / name
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (one for one in found if one.is_file() and "__pycache__" not in one.parts)


def _synthesise(document: str, output: Path) -> None:
    unfinished = output.with_name(f"{output.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        settings = unfinished / "settings.yaml"
        settings.write_text(document, encoding="utf-8")
        synthesise(unfinished / "cdk.out", settings=settings)
        (unfinished / "cdk.out").rename(output)
    finally:
        shutil.rmtree(unfinished)


def _make_room() -> None:
    """Keep those that were used last, and one place for the next. What a killed process left goes, too."""
    there = sorted((path for path in KEPT.iterdir() if "." not in path.name), key=lambda path: path.stat().st_mtime)
    for path in there[: max(0, len(there) - MOST_KEPT + 1)]:
        path.rename(path.with_name(f"{path.name}.old"))
    for path in KEPT.iterdir():
        if "." in path.name and path.is_dir():
            shutil.rmtree(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 written, 1 synthesis or the audit rules found a fault, 2 the settings are refused."""
    parser = argparse.ArgumentParser(prog="python -m local.assemblies", description="Write the assembly of a settings file to a new folder")
    parser.add_argument("settings", type=Path, help="a file such as settings/dev.yaml")
    parser.add_argument("output", type=Path, help="a folder that is not there yet")
    chosen = parser.parse_args(arguments)
    if chosen.output.exists():
        parser.error(f"output {chosen.output} is there already: name a new folder, or remove it")
    try:
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        assembly(load_settings(chosen.settings), chosen.output)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SynthesisFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
