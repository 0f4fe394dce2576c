"""What a job says when it fails: the error by its name, where the service looks for it.

The training toolkit writes the failure file itself. It takes what the program printed from the first line that names one of
Python's own exceptions, and nothing without such a line, so the reason ends with the built-in class that our error is one of.
Source: aws/sagemaker-training-toolkit, ``process.py`` (``watch``) and ``_PYTHON_ERRORS_``. A processing job has no toolkit: what
is in ``/opt/ml/output/message`` becomes its ExitMessage.
Source: SageMaker developer guide, "Save and Access Metadata Information About Your Processing Job".
"""

from __future__ import annotations

import builtins
import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 1_024
"""Bytes of the failure file and of the exit message that the service keeps."""


def reason_of(error: BaseException) -> str:
    """``ErrorName: message`` in one line, with the built-in class behind it where the name is our own."""
    own = type(error)
    said = " ".join(f"{own.__name__}: {error}".split())
    if getattr(builtins, own.__name__, None) is own:
        return said
    built_in = next(kind.__name__ for kind in own.__mro__ if getattr(builtins, kind.__name__, None) is kind)
    return f"{said} ({built_in})"


@contextlib.contextmanager
def told_in(*files: Path) -> Iterator[None]:
    """Run an entry point. A failure is written to standard error, then to these files, and the program ends with code 1."""
    try:
        yield
    except Exception as error:
        reason = reason_of(error)
        for path in files:
            # Where the folder cannot be written the reason still stands in the log.
            with contextlib.suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(reason.encode()[:MOST_BYTES].decode(errors="ignore").encode())
        print(reason, file=sys.stderr, flush=True)
        traceback.print_exc()
        raise SystemExit(1) from None


def training_file() -> Path:
    """The failure file of a training job."""
    return Path(os.environ.get("SM_OUTPUT_DIR", "/opt/ml/output")) / "failure"


def processing_file() -> Path:
    """The exit message of a processing job; the job's request names the file, since a test runs without ``/opt/ml``."""
    return Path(os.environ.get("EXIT_MESSAGE_FILE", "/opt/ml/output/message"))
