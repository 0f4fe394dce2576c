"""Lambda: a Python function's process says where the log of an invocation ends, so nobody waits for lines that do not come.

Stock ministack waits 50 ms after each answer for a first line of the log, and 5 ms after each line for another one. Most answers of an
API's function log nothing, so their callers waited. The mark comes through the same pipe as the log, and has the invocation's request id.
A function that closes the pipe, and whatever is not Python, goes the stock way. Hooks: ``_PYTHON_WORKER_SCRIPT`` of ``lambda_runtime``;
``invoke``, ``_read_stderr`` and ``_drain_stderr_bounded`` of its ``Worker``.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import re
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ministack.core import lambda_runtime

SEPARATOR = "\x1e"
"""Stands before the request id at the end of an invocation's log: ASCII's record separator."""
_MARK = re.compile(SEPARATOR + r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_LONGEST_SECONDS = 1.0
_MOST_MISSED = 2
"""A process that has missed more marks in a row writes none."""
_LAST_LINES = "        _real_stdout.flush()\n\nrun()\n"
_WITH_MARK = f"""        _real_stdout.flush()
        try:
            sys.stderr.flush()
            os.write(2, ({SEPARATOR!r} + _ms_ctx.get("request_id", "") + chr(10)).encode())
        except (OSError, ValueError):
            pass

run()
"""
_request_id: ContextVar[str] = ContextVar("embedded_aws_log_request_id", default="")


def install() -> None:
    """Put the hooks in place."""
    if lambda_runtime._PYTHON_WORKER_SCRIPT.count(_LAST_LINES) != 1:
        raise RuntimeError("ministack's program for Python functions ends otherwise than it did: see embedded_aws/lambda_/log_ends.py")
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(_LAST_LINES, _WITH_MARK)
    lambda_runtime.Worker.invoke = for_its_request(lambda_runtime.Worker.invoke)
    lambda_runtime.Worker._read_stderr = read_to_its_own
    lambda_runtime.Worker._drain_stderr_bounded = to_the_mark(lambda_runtime.Worker._drain_stderr_bounded)


def for_its_request(invoke: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Keeps the request id for whoever reads the invocation's log, in the same thread."""

    @functools.wraps(invoke)
    def invoke_known(self: Any, event: Any, request_id: str, **options: Any) -> dict[str, Any]:
        token = _request_id.set(request_id)
        try:
            return invoke(self, event, request_id, **options)
        finally:
            _request_id.reset(token)

    return invoke_known


def read_to_its_own(self: Any) -> None:
    """The thread that reads a process's log. The stock one hands the last lines of an old process to the queue of the new one."""
    process, lines = self._proc, self._stderr_queue
    if process is None:  # killed before this thread began
        return
    with contextlib.suppress(OSError, ValueError):
        for line in process.stderr:
            lines.put(line.rstrip("\n"))


def to_the_mark(stock: Any) -> Any:
    """Reads the log's lines up to the invocation's own mark. A mark that came too late for its invocation is taken out of the log."""

    @functools.wraps(stock)
    def drain(self: Any, *arguments: Any, **options: Any) -> str:
        source, process, request_id = self._stderr_queue, self._proc, _request_id.get()
        is_python = str(self.config.get("Runtime", "")).startswith("python")
        if not is_python or not request_id or process is None or process.poll() is not None or _missed(source) > _MOST_MISSED:
            return _without_marks(stock(self, *arguments, **options).split("\n"))
        lines: list[str] = []
        until = time.monotonic() + _LONGEST_SECONDS
        while not lines or not lines[-1].endswith(SEPARATOR + request_id):
            try:
                lines.append(source.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                source.missed_marks = _missed(source) + 1
                return _without_marks(lines)
        source.missed_marks = 0
        return _without_marks(lines)

    return drain


def _without_marks(lines: list[str]) -> str:
    """The log's text: a line that is a mark only is none of the function's."""
    return "\n".join(_MARK.sub("", line) for line in lines if not _MARK.match(line))


def _missed(source: Any) -> int:
    """Invocations of the process, the last ones in a row, whose mark did not come in time."""
    return int(getattr(source, "missed_marks", 0))
