"""Run ``app.py`` in a process of its own: the CDK keeps a Node.js process for as long as its Python process lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LONGEST_MESSAGE = 3_000


class SynthesisFailed(RuntimeError):
    """``app.py`` failed; the text is the end of its messages."""


def synthesise(output: Path, *, stage: str | None = None, settings: Path | None = None, pipeline: Path | None = None) -> None:
    """Write the assembly of a stage, of a settings file, or of a file of pipelines, to the folder ``output``.

    Raises:
        SynthesisFailed: the settings are refused, or the CDK found a fault.
    """
    chosen = ["--settings", str(settings)] if settings else ["--pipeline", str(pipeline)] if pipeline else ["--stage", str(stage)]
    done = subprocess.run(
        [sys.executable, "app.py", *chosen, "--output", str(output)],
        cwd=ROOT,
        env={**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SynthesisFailed(done.stderr[-_LONGEST_MESSAGE:].strip() or f"app.py ended with exit code {done.returncode}")
