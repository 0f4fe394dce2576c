"""``AWS/Lambda`` metrics of every invocation, whatever starts it: API Gateway, queues, rules, schedules, state machines, deployments.

Stock ministack counts direct invocations only. Dimensions: the function's name; name and ``Resource`` (the version or alias that was
invoked); none for all functions together. Source: Lambda developer guide, "Types of metrics for Lambda functions".

Hooks: ``lambda_svc._execute_function_dispatch``, which every invocation that is not throttled passes once,
``_acquire_execution_slot``, which refuses the others, and ``_emit_lambda_metrics``, whose own counting stops.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any

from ministack.services import cloudwatch, lambda_svc

NAMESPACE = "AWS/Lambda"


def install() -> None:
    """Put the hooks in place."""
    lambda_svc._execute_function_dispatch = _counted(lambda_svc._execute_function_dispatch)
    lambda_svc._acquire_execution_slot = _counting_throttles(lambda_svc._acquire_execution_slot)
    lambda_svc._emit_lambda_metrics = _not_counted_again


def _not_counted_again(function_name: str, duration_ms: float, error: bool, throttle: bool) -> None:
    """Stands for ministack's own counting."""


def _counted(dispatch: Any) -> Any:
    @functools.wraps(dispatch)
    def wrapper(func: Any, config: dict[str, Any], event: Any, request_id: str, started: float) -> Any:
        _, running = lambda_svc.executions_in_flight()
        concurrent = running.get(lambda_svc._inflight_key(config), 1)
        failed = True
        try:
            result = dispatch(func, config, event, request_id, started)
            failed = bool(isinstance(result, dict) and result.get("error"))
            return result
        finally:
            _publish(
                config,
                {
                    "Invocations": (1, "Count"),
                    "Errors": (int(failed), "Count"),
                    "Throttles": (0, "Count"),
                    "Duration": ((time.time() - started) * 1_000, "Milliseconds"),
                    "ConcurrentExecutions": (concurrent, "Count"),
                },
            )

    return wrapper


def _counting_throttles(acquire: Any) -> Any:
    @functools.wraps(acquire)
    def wrapper(func: Any, config: dict[str, Any]) -> Any:
        slot, limit = acquire(func, config)
        if slot is None:
            _publish(config, {"Throttles": (1, "Count")})
        return slot, limit

    return wrapper


def _publish(config: Mapping[str, Any], values: Mapping[str, tuple[float, str]]) -> None:
    name = str(config.get("FunctionName", "unknown"))
    arn = str(config.get("FunctionArn", ""))
    qualifier = arn.split(":")[7] if arn.count(":") >= 7 else ""
    resource = f"{name}:{qualifier}" if qualifier else name
    for dimensions in ({"FunctionName": name}, {"FunctionName": name, "Resource": resource}, {}):
        for metric, (value, unit) in values.items():
            cloudwatch.record_metric(NAMESPACE, metric, value, unit, dimensions)
