"""Lambda: a Python function's process says where the log of an invocation ends, so nobody waits for lines that do not come.

Stock ministack waits 50 ms after each answer for a first line of the log, and 5 ms after each line for another one. Most answers of an
API's function log nothing, so their callers waited. The mark comes through the same pipe as the log. A function that closes the pipe, and
whatever is not Python, goes the stock way. Hooks: ``_PYTHON_WORKER_SCRIPT`` and ``Worker._drain_stderr_bounded`` of ``lambda_runtime``.
"""

from __future__ import annotations

import functools
import queue
import time
from typing import Any

from ministack.core import lambda_runtime

MARK = "\x1e"
"""Ends the last line of an invocation's log: ASCII's record separator."""
_LONGEST_SECONDS = 1.0
_MOST_LATE = 2
"""A process with more late marks than that writes none."""
_LAST_LINES = "        _real_stdout.flush()\n\nrun()\n"
_WITH_MARK = f"""        _real_stdout.flush()
        try:
            sys.stderr.flush()
            os.write(2, {(MARK + chr(10)).encode()!r})
        except (OSError, ValueError):
            pass

run()
"""


def install() -> None:
    """Put the hooks in place."""
    if lambda_runtime._PYTHON_WORKER_SCRIPT.count(_LAST_LINES) != 1:
        raise RuntimeError("ministack's program for Python functions ends otherwise than it did: see embedded_aws/lambda_/log_ends.py")
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(_LAST_LINES, _WITH_MARK)
    lambda_runtime.Worker._drain_stderr_bounded = to_the_mark(lambda_runtime.Worker._drain_stderr_bounded)


def to_the_mark(stock: Any) -> Any:
    """Reads the log's lines up to the mark. A mark that comes too late for its own invocation is skipped later."""

    @functools.wraps(stock)
    def drain(self: Any, *arguments: Any, **options: Any) -> str:
        source = self._stderr_queue
        is_python = str(self.config.get("Runtime", "")).startswith("python")
        if not is_python or self._proc is None or self._proc.poll() is not None or _late(source) > _MOST_LATE:
            lines = stock(self, *arguments, **options).split("\n")
            return "\n".join(line.rstrip(MARK) for line in lines if line != MARK)
        lines, until = [], time.monotonic() + _LONGEST_SECONDS
        while True:
            try:
                line = source.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                source.late_marks = _late(source) + 1
                return "\n".join(lines)
            lines += [line.rstrip(MARK)] if line != MARK else []
            if line.endswith(MARK):
                if not _late(source):
                    return "\n".join(lines)
                source.late_marks = _late(source) - 1

    return drain


def _late(source: Any) -> int:
    """Invocations of the process that have ended before their mark came."""
    return int(getattr(source, "late_marks", 0))
