"""Step Functions' payload quota: what a task is given and returns, what a state passes on, and an execution's input.

Source: Step Functions developer guide, "Quotas": 256 KiB as a UTF-8 string, a hard quota; "Handling errors": exceeding it is
``States.DataLimitExceeded``, a terminal error that ``States.ALL`` does not catch.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ministack.core import responses
from ministack.services import stepfunctions

MOST_BYTES = 262_144
ERROR = "States.DataLimitExceeded"


def install() -> None:
    """Put the hooks in place. Call it after the other hooks into Step Functions, so that what those return is measured too."""
    stepfunctions._execute_pass = _bounded_state(stepfunctions._execute_pass)
    stepfunctions._execute_task = _bounded_state(stepfunctions._execute_task)
    stepfunctions._execute_map = _bounded_state(stepfunctions._execute_map)
    stepfunctions._execute_parallel = _bounded_state(stepfunctions._execute_parallel)
    stepfunctions._invoke_resource = _bounded_task(stepfunctions._invoke_resource)
    stepfunctions._error_matches = _not_by_wildcard(stepfunctions._error_matches)
    stepfunctions._start_execution = _bounded_start(stepfunctions._start_execution)


def size_of(payload: Any) -> int:
    """Bytes of a payload as the service counts it: its JSON text in UTF-8."""
    return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def _require(payload: Any, what: str) -> None:
    size = size_of(payload)
    if size > MOST_BYTES:
        raise stepfunctions._ExecutionError(ERROR, f"{what} has {size} bytes, which exceeds the maximum of {MOST_BYTES} bytes")


def _bounded_state(execute: Callable[..., Any]) -> Callable[..., Any]:
    def run(state_def: dict[str, Any], raw_input: Any, *rest: Any) -> Any:
        output, following = execute(state_def, raw_input, *rest)
        _require(output, f"the output of a state of type {state_def.get('Type')}")
        return output, following

    return run


def _bounded_task(invoke_resource: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(resource: str, parameters: Any) -> Any:
        _require(parameters, f"the input of the task {resource}")
        result = invoke_resource(resource, parameters)
        _require(result, f"the result of the task {resource}")
        return result

    return invoke


def _not_by_wildcard(matches: Callable[..., bool]) -> Callable[..., bool]:
    def match(error_equals: list[str], error: str) -> bool:
        return error in error_equals if error == ERROR else matches(error_equals, error)

    return match


def _bounded_start(start_execution: Callable[..., Any]) -> Callable[..., Any]:
    """StartExecution's ``input`` has the same bound; botocore's own check knows no upper ones."""

    def start(data: dict[str, Any]) -> Any:
        if len(str(data.get("input", "")).encode("utf-8", "surrogatepass")) > MOST_BYTES:
            return responses.error_response_json(
                "ValidationException",
                "1 validation error detected: Value at 'input' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MOST_BYTES}",
                400,
            )
        return start_execution(data)

    return start
