"""Run ``app.py`` in a process of its own: the CDK keeps a Node.js process for as long as its Python process lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LONGEST_MESSAGE = 3_000
QUICKLY = {"CDK_VALIDATION": "false"}
"""For a synthesis whose messages nobody sees when it is good. The CDK's own validator of templates only warns, and starting it is half
of the synthesis. cdk-nag's rules are another validator, which stays; cfn-lint and, at a deploy, the CDK's own see the same templates.
"""


class SynthesisFailed(RuntimeError):
    """``app.py`` failed; the text is the end of its messages."""


def synthesise(output: Path, *, stage: str | None = None, settings: Path | None = None, pipeline: Path | None = None) -> None:
    """Write the assembly of a stage, of a settings file, or of a file of pipelines, to the folder ``output``.

    An exception that arrives meanwhile, such as an interruption, ends both processes, and nothing of theirs is left but ``output``.

    Raises:
        SynthesisFailed: the settings are refused, or the CDK found a fault.
    """
    chosen = ["--settings", str(settings)] if settings else ["--pipeline", str(pipeline)] if pipeline else ["--stage", str(stage)]
    with tempfile.TemporaryDirectory(prefix="synthesis-", ignore_cleanup_errors=True) as temporary:
        process = subprocess.Popen(
            [sys.executable, "app.py", *chosen, "--output", str(output)],
            cwd=ROOT,
            env={**os.environ, **QUICKLY, "TMPDIR": temporary, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            _, errors = process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the process of Node.js, which would write to the folder that is removed
            process.wait()
            raise
    if process.returncode:
        raise SynthesisFailed(errors[-_LONGEST_MESSAGE:].strip() or f"app.py ended with exit code {process.returncode}")
