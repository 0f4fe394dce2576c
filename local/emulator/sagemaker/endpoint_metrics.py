"""CloudWatch metrics of one invocation, as hosting publishes them (developer guide, "Endpoint invocation metrics")."""

from __future__ import annotations

from dataclasses import dataclass

from ministack.services import cloudwatch

NAMESPACE = "AWS/SageMaker"


@dataclass(frozen=True)
class Invocation:
    """What happened: HTTP status of the model (None: it did not answer), times in seconds, instances behind the variant."""

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
    status = invocation.status
    client_error = status is not None and 400 <= status < 500
    failed = status is None or not 200 <= status < 300
    values = {
        "Invocations": (1.0, "None"),
        "InvocationsPerInstance": (1.0 / max(1, invocation.instances), "None"),
        "Invocation4XXErrors": (float(client_error), "None"),
        "Invocation5XXErrors": (float(failed and not client_error), "None"),
        "InvocationModelErrors": (float(failed), "None"),
        "ModelLatency": (invocation.model_seconds * 1e6, "Microseconds"),
        "OverheadLatency": (invocation.overhead_seconds * 1e6, "Microseconds"),
    }
    for dimensions in dimension_sets:
        for name, (value, unit) in values.items():
            cloudwatch.record_metric(NAMESPACE, name, value, unit, dimensions)
