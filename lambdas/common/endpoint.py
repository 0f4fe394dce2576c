"""The endpoint as DescribeEndpoint tells of it: is it there, and does it take a change now?

Source: SageMaker API reference, DescribeEndpoint (EndpointStatus).
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
"""States that end by themselves, and in which every other change is refused; scaling by the autoscaler is ``Updating`` too."""


def describe(sagemaker: Any, name: str) -> dict[str, Any] | None:
    """DescribeEndpoint, or None when there is no such endpoint."""
    try:
        described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException" and "Could not find" in error.response["Error"]["Message"]:
            return None
        raise
    return described
