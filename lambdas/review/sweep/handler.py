"""Runs each minute: leases run out, answers become final, tasks expire (see :mod:`lambdas.review.hosted_tasks.sweeping`)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.review.hosted_tasks.edges import TaskEnvironment as Environment
from lambdas.review.hosted_tasks.edges import ports
from lambdas.review.hosted_tasks.ending import finish
from lambdas.review.hosted_tasks.sweeping import sweep

MOST_TASKS = 2_000
"""The most tasks of one run. The next run continues with the rest."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _now() -> int:
    return int(time.time() * 1_000)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Returns ``{"moved", "busy"}``: the number of due tasks that were changed, and of those that another request was changing."""
    edges = ports(_environment())
    moved, busy = sweep(edges.table, _now(), lambda task: finish(task, edges, _now()), most=MOST_TASKS)
    metrics.add_metric("ReviewTasksMoved", MetricUnit.Count, moved)
    logger.info("review tasks swept", extra={"moved": moved, "busy": busy})
    return {"moved": moved, "busy": busy}
