"""The endpoint as DescribeEndpoint tells of it: is it there, does it take a change now, whom do its variants answer, and what do they run?

Source: SageMaker API reference, DescribeEndpoint (EndpointStatus).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from contracts.shared_words import CHALLENGER

CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""States that end by themselves, and in which every other change is refused; scaling by the autoscaler is ``Updating`` too."""

DEAD = ("Failed", "OutOfService")
"""It answers nobody, and a failed one takes no change but its deletion."""


class EndpointUpdating(RuntimeError):
    """The endpoint takes no change at the moment, or has not finished the last one: the state machine asks again."""


def describe(sagemaker: Any, name: str) -> dict[str, Any] | None:
    """DescribeEndpoint, or None when there is no such endpoint."""
    try:
        described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException" and "Could not find" in error.response["Error"]["Message"]:
            return None
        raise
    return described


def live_weights(endpoint: Mapping[str, Any]) -> dict[str, float]:
    """Variant name -> its weight now. ``endpoint``: DescribeEndpoint."""
    return {variant["VariantName"]: float(variant["CurrentWeight"]) for variant in endpoint["ProductionVariants"]}


def live_share(endpoint: Mapping[str, Any]) -> float:
    """The challenger's part of the traffic now, 0..1; 0 when no variant has a weight. ``endpoint``: DescribeEndpoint."""
    weights = live_weights(endpoint)
    total = sum(weights.values())
    return round(weights[CHALLENGER] / total, 6) if total > 0 else 0.0


def running_packages(sagemaker: Any, endpoint: Mapping[str, Any]) -> dict[str, str]:
    """Variant name -> ARN of the model package that it runs, by the endpoint's configuration; the artifact's URI without a package.

    Args:
        endpoint: DescribeEndpoint.

    Raises:
        ClientError: the configuration or a model is gone.
    """
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    packages = {}
    for variant in config["ProductionVariants"]:
        container = sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
        packages[variant["VariantName"]] = container.get("ModelPackageName", container.get("ModelDataUrl", ""))
    return packages
