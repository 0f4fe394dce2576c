"""What is not there says so by name: services, operations."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.fixtures import ClientFactory

CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "comprehend": ("list_endpoints", {}, "comprehend"),
    "codepipeline": ("list_pipelines", {}, "codepipeline"),
    "ce": ("get_tags", {"TimePeriod": {"Start": "2026-01-01", "End": "2026-01-02"}}, "ce"),
    "xray": ("get_groups", {}, "xray"),
    "personalize": ("list_datasets", {}, "personalize"),
    "redshift": ("describe_clusters", {}, "redshift"),
}


@pytest.mark.parametrize("service", sorted(CALLS))
def test_a_service_that_is_not_there_is_named_with_those_that_are(aws: ClientFactory, service: str) -> None:
    operation, request, scope = CALLS[service]
    with pytest.raises(ClientError) as refused:
        getattr(aws(service), operation)(**request)
    error = refused.value.response["Error"]
    assert error["Code"] == "NotImplemented"
    assert error["Message"].startswith(f"The embedded AWS has no service {scope}, so ")
    assert {"athena", "sagemaker", "states"} <= set(error["Message"].replace(".", "").replace(":", "").replace(",", "").split())
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_an_operation_that_is_not_there_is_named_with_those_like_it(aws: ClientFactory) -> None:
    with pytest.raises(ClientError, match=r"sagemaker:ListTransformJobs is not part of the embedded AWS, which has .*ListTrainingJobs"):
        aws("sagemaker").list_transform_jobs()
