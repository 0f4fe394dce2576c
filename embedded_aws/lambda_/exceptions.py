"""Lambda: the class name of a function's exception, which Retry and Catch match by, and which stock ministack loses.

A function's process that dies half-way is ``Runtime.ExitError``, as in AWS, and not an exception of the function.

Hook: ``lambda_svc._execute_function_warm``.
"""

from __future__ import annotations

import re
from typing import Any

from ministack.services import lambda_svc

_UNNAMED = "Runtime.HandlerError"
_DIED = "Worker process died"
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


def install() -> None:
    """Wrap the execution of Python functions in warm processes."""
    execute = lambda_svc._execute_function_warm

    def execute_named(func: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
        result: dict[str, Any] = execute(func, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == _UNNAMED:
            died = body.get("errorMessage") == _DIED
            body["errorType"] = "Runtime.ExitError" if died else exception_name(str(result.get("log") or "")) or _UNNAMED
        return result

    lambda_svc._execute_function_warm = execute_named
