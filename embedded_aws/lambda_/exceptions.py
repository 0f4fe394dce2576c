"""Lambda: the errors of functions that Retry and Catch match by, and that stock ministack loses or names otherwise.

- The class name of a function's exception.
- A function's process that ends, half-way or while it starts, is ``Runtime.ExitError``. Its message is ``RequestId: <id> Error: Runtime
  exited with error: exit status 1``, or ``signal: killed`` (AWS re:Post, knowledge center, "lambda-runtime-error").

Hooks: ``lambda_svc._execute_function_warm``; ``_spawn`` and ``invoke`` of ``lambda_runtime.Worker``.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

_UNNAMED = "Runtime.HandlerError"
_EXITED = "Runtime.ExitError"
_DIED, _DIED_AT_START, _BROKEN_PIPE = "Worker process died", "Worker process exited immediately", "[Errno 32]"
_EXIT_MESSAGE = re.compile(r"RequestId: \S+ Error: Runtime exited with")
_DEAD_WITHIN_SECONDS = 5.0
_EXCEPTION_LINE = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?([A-Za-z_]\w*)(?::|$)")


def exception_name(log: str) -> str | None:
    """The class name at the start of a traceback's last line that names an exception, without its module."""
    lines = log.strip().splitlines()
    starts = [index for index, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not starts:
        return None
    for line in lines[starts[-1] + 1 :]:
        match = _EXCEPTION_LINE.match(line)
        if match and not line.startswith(" "):
            return match[1]
    return None


def exit_message(request_id: str, status: int) -> str:
    """What AWS says of a process that ended. ``status``: as ``Popen.returncode``, negative for a signal."""
    if status == 0:
        return f"RequestId: {request_id} Error: Runtime exited without providing a reason"
    how = f"exit status {status}" if status > 0 else f"signal: {(signal.strsignal(-status) or str(-status)).lower()}"
    return f"RequestId: {request_id} Error: Runtime exited with error: {how}"


def install() -> None:
    """Wrap the processes of functions, and the execution of functions in them."""
    lambda_runtime.Worker._spawn = _spawn_known(lambda_runtime.Worker._spawn)
    lambda_runtime.Worker.invoke = _invoke_told(lambda_runtime.Worker.invoke)
    execute = lambda_svc._execute_function_warm

    def execute_named(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        result: dict[str, Any] = execute(func, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == _UNNAMED:
            exited = _EXIT_MESSAGE.match(str(body.get("errorMessage")))
            body["errorType"] = _EXITED if exited else exception_name(str(result.get("log") or "")) or _UNNAMED
        return result

    lambda_svc._execute_function_warm = execute_named


def _spawn_known(spawn: Callable[[Any], None]) -> Callable[[Any], None]:
    """Keep the process that was started: ministack forgets it before anybody can ask for its exit status."""

    def spawn_known(self: Any) -> None:
        try:
            spawn(self)
        finally:
            self.started = self._proc

    return spawn_known


def _invoke_told(invoke: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Tell of a process that ended with its exit status."""

    def invoke_told(self: Any, event: Any, request_id: str, **options: Any) -> dict[str, Any]:
        try:
            result = invoke(self, event, request_id, **options)
        except (RuntimeError, BrokenPipeError) as error:
            if isinstance(error, RuntimeError) and not str(error).startswith(_DIED_AT_START):
                raise
            status = _status(self.started)
            log = "\n".join(filter(None, [self._drain_stderr_bounded(), str(error).partition("stderr: ")[2]]))
            return {"status": "error", "error": exit_message(request_id, status), "cold_start": True, "log": log}
        said = str(result.get("error", ""))
        if "trace" not in result and (said == _DIED or said.startswith(_BROKEN_PIPE)):
            result["error"] = exit_message(request_id, _status(self.started))
        return result

    return invoke_told


def _status(process: subprocess.Popen[str]) -> int:
    """Of a process whose output has ended, so it has ended itself, or closed its output and is of no use any more."""
    try:
        return process.wait(_DEAD_WITHIN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
