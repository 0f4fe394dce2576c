"""Last step of a rollout: its outcome as the state machine's output, as a log line and as a metric."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.common.observability import logger, metrics, tracer
from lambdas.rollout.progress import Outcome, Progress

_METRIC_NAMES = {
    Outcome.PROMOTED: "RolloutsPromoted",
    Outcome.ROLLED_BACK: "RolloutsRolledBack",
    Outcome.INCONCLUSIVE: "RolloutsInconclusive",
    Outcome.RELEASED: "FirstReleases",
    Outcome.WITHDRAWN: "RolloutsWithdrawn",
}


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"outcome", "reason", "release", "progress"}`` -> ``{"outcome", "reason", "release", "weights"}``."""
    outcome = Outcome(event["outcome"])
    metrics.add_metric(_METRIC_NAMES[outcome], MetricUnit.Count, 1)
    result = {
        "outcome": outcome.value,
        "reason": str(event["reason"]),
        "release": event["release"],
        "weights": Progress.parse(event["progress"]).as_json()["weights"],
    }
    logger.info("rollout finished", extra={"result": result})
    return result
