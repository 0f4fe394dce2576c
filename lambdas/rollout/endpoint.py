"""The endpoint as DescribeEndpoint tells of it: is it there, does it take a change now, and what do its variants run?

Source: SageMaker API reference, DescribeEndpoint (EndpointStatus).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""States that end by themselves, and in which every other change is refused; scaling by the autoscaler is ``Updating`` too."""


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
