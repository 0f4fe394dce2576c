"""CloudWatch embedded metric format: metrics that Lambdas print as JSON become CloudWatch metrics, as at log ingestion.

Source: CloudWatch user guide, "Specification: Embedded metric format". Hook: ``lambda_svc._emit_lambda_logs``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MetricValue:
    """One value of one metric under one set of dimensions."""

    namespace: str
    name: str
    value: float
    unit: str
    dimensions: dict[str, str]


def extract(line: str) -> Iterator[MetricValue]:
    """The metric values in one log line; none when it is not an embedded metric document, nor for what the format does not allow."""
    if '"_aws"' not in line:
        return
    try:
        document: Any = json.loads(line)
    except ValueError:
        return
    metadata = document.get("_aws") if isinstance(document, dict) else None
    for directive in metadata.get("CloudWatchMetrics", []) if isinstance(metadata, dict) else []:
        for keys in directive.get("Dimensions") or [[]]:
            dimensions = {key: str(document[key]) for key in keys if key in document}
            for metric in directive.get("Metrics", []):
                for value in _numbers(document.get(metric["Name"])):
                    yield MetricValue(directive["Namespace"], metric["Name"], value, metric.get("Unit", "None"), dimensions)


def _numbers(target: Any) -> list[float]:
    values = target if isinstance(target, list) else [target]
    return [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def install() -> None:
    """Wrap the one function through which every invocation's output goes to CloudWatch Logs."""
    from ministack.services import cloudwatch, lambda_svc

    emit_logs = lambda_svc._emit_lambda_logs

    def emit_logs_and_metrics(func: dict[str, Any], request_id: str, log_text: str, *args: Any, **kwargs: Any) -> None:
        emit_logs(func, request_id, log_text, *args, **kwargs)
        for line in (log_text or "").split("\n"):
            for metric in extract(line):
                cloudwatch.record_metric(metric.namespace, metric.name, metric.value, metric.unit, metric.dimensions)

    lambda_svc._emit_lambda_logs = emit_logs_and_metrics
