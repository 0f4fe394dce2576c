"""Lambda: the errors of functions that Retry and Catch match by, and that stock ministack loses or names otherwise.

- The class name of a function's exception.
- A function's process that ends, half-way or while it starts, is ``Runtime.ExitError``. Its message is ``RequestId: <id> Error: Runtime
  exited with error: exit status 1``, or ``signal: killed`` (AWS re:Post, knowledge center, "lambda-runtime-error").
- A module that cannot be imported, and one without the handler, have the names that AWS's Python runtime gives them. Any other exception of
  an import has its class name. Stock ministack calls each a RuntimeError, without a log, and ends the function's other processes.

Hooks: ``lambda_svc._execute_function_warm``; ``_PYTHON_WORKER_SCRIPT`` of ``lambda_runtime``; ``_spawn`` and ``invoke`` of its ``Worker``.
"""

from __future__ import annotations

import json
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
_DEAD_WITHIN_SECONDS = 5.0
_EXCEPTION_LINE = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?([A-Za-z_]\w*)(?::|$)")
_INIT_FAILED = "Worker init failed: "
_LINES_AT_INIT = """        _real_stdout.write(json.dumps({"status": "error", "error": str(e)}) + "\\n")
        _real_stdout.flush()
        return
"""
_TOLD_AT_INIT = """        if isinstance(e, ImportError):
            _kind, _said = "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {e}"
        elif isinstance(e, SyntaxError):
            _kind, _said = "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {e}"
        elif "mod" in locals() and not hasattr(mod, handler_name):
            _kind, _said = "Runtime.HandlerNotFound", f"Handler '{handler_name}' missing on module '{module_name}'"
        else:
            _kind, _said = type(e).__name__, str(e)
        sys.stderr.flush()
        _told = json.dumps([_kind, _said, traceback.format_exc()])
        _real_stdout.write(json.dumps({"status": "error", "error": _told}) + "\\n")
        _real_stdout.flush()
        return
"""


class Message(str):
    """An error's message with the error's type. ministack hands it on as it is, so what a handler says is never taken for it."""

    error_type: str

    def __new__(cls, error_type: str, text: str) -> Message:
        message = super().__new__(cls, text)
        message.error_type = error_type
        return message


class InitError(RuntimeError):
    """The function's module could not be imported, or lacks the handler."""

    def __init__(self, message: Message, trace: str) -> None:
        super().__init__(_INIT_FAILED + message)
        self.message = message
        self.trace = trace


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


def exit_message(request_id: str, status: int) -> Message:
    """What AWS says of a process that ended. ``status``: as ``Popen.returncode``, negative for a signal."""
    if status == 0:
        return Message(_EXITED, f"RequestId: {request_id} Error: Runtime exited without providing a reason")
    how = f"exit status {status}" if status > 0 else f"signal: {(signal.strsignal(-status) or str(-status)).lower()}"
    return Message(_EXITED, f"RequestId: {request_id} Error: Runtime exited with error: {how}")


def install() -> None:
    """Wrap the processes of functions, and the execution of functions in them."""
    if lambda_runtime._PYTHON_WORKER_SCRIPT.count(_LINES_AT_INIT) != 1:
        raise RuntimeError("ministack's program for Python functions starts otherwise than it did: see embedded_aws/lambda_/exceptions.py")
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(_LINES_AT_INIT, _TOLD_AT_INIT)
    lambda_runtime.Worker._spawn = _spawn_known(lambda_runtime.Worker._spawn)
    lambda_runtime.Worker.invoke = _invoke_told(lambda_runtime.Worker.invoke)
    execute = lambda_svc._execute_function_warm

    def execute_named(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        result: dict[str, Any] = execute(func, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == _UNNAMED:
            message = body.get("errorMessage")
            of_the_log = exception_name(str(result.get("log") or "")) or _UNNAMED
            body["errorType"] = message.error_type if isinstance(message, Message) else of_the_log
        return result

    lambda_svc._execute_function_warm = execute_named


def _spawn_known(spawn: Callable[[Any], None]) -> Callable[[Any], None]:
    """Keep the process that was started: ministack forgets it before anybody can ask for its exit status. Tell of a failed import."""

    def spawn_known(self: Any) -> None:
        try:
            spawn(self)
        except RuntimeError as error:
            named = _named(error)
            if named is None:
                raise
            raise named from error
        finally:
            self.started = self._proc

    return spawn_known


def _named(error: RuntimeError) -> InitError | None:
    """The error that the process of a Python function told of while it started."""
    try:
        kind, said, trace = json.loads(str(error).removeprefix(_INIT_FAILED))
    except (TypeError, ValueError):
        return None
    return InitError(Message(kind, said), trace)


def _invoke_told(invoke: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Tell of a process that ended with its exit status, and of one that could not import its function with its log."""

    def invoke_told(self: Any, event: Any, request_id: str, **options: Any) -> dict[str, Any]:
        try:
            result = invoke(self, event, request_id, **options)
        except InitError as error:
            self.started.kill()  # it ends by itself, unless the import has started threads
            self.started.wait()
            log = self._drain_stderr_bounded()
            return {"status": "error", "error": error.message, "trace": error.trace, "cold_start": True, "log": log}
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
