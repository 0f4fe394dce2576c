"""CloudWatch metrics of one invocation, as hosting publishes them.

Source: SageMaker developer guide, "SageMaker AI endpoint invocation metrics". ``Invocation4XXErrors`` and ``Invocation5XXErrors`` count
status codes that the model returned. ``InvocationModelErrors`` counts every request without a 2xx answer: those two, and also socket
errors, malformed HTTP and time-outs, which have no status code.
"""

from __future__ import annotations

from dataclasses import dataclass

from ministack.services import cloudwatch

NAMESPACE = "AWS/SageMaker"


@dataclass(frozen=True)
class Invocation:
    """What happened: HTTP status of the model (None or 0: it gave none), times in seconds, instances behind the variant."""

    endpoint: str
    variant: str
    status: int | None
    model_seconds: float
    overhead_seconds: float
    instances: int


def publish(invocation: Invocation, config_name: str | None) -> None:
    """Per endpoint and variant; with ``config_name`` (during a guardrail update) per fleet as well."""
    plain = {"EndpointName": invocation.endpoint, "VariantName": invocation.variant}
    dimension_sets = [plain, {**plain, "EndpointConfigName": config_name}] if config_name else [plain]
    status = invocation.status or 0
    values = {
        "Invocations": (1.0, "None"),
        "InvocationsPerInstance": (1.0 / max(1, invocation.instances), "None"),
        "Invocation4XXErrors": (float(400 <= status < 500), "None"),
        "Invocation5XXErrors": (float(status >= 500), "None"),
        "InvocationModelErrors": (float(not 200 <= status < 300), "None"),
        "ModelLatency": (invocation.model_seconds * 1e6, "Microseconds"),
        "OverheadLatency": (invocation.overhead_seconds * 1e6, "Microseconds"),
    }
    for dimensions in dimension_sets:
        for name, (value, unit) in values.items():
            cloudwatch.record_metric(NAMESPACE, name, value, unit, dimensions)
