"""What is not there says so by name: services, operations."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.fixtures import ClientFactory
from embedded_aws.tools.launcher import EMULATOR_PYTHON, ROOT

CALLS: dict[str, tuple[str, dict[str, Any], str]] = {
    "comprehend": ("list_endpoints", {}, "comprehend"),
    "codepipeline": ("list_pipelines", {}, "codepipeline"),
    "ce": ("get_tags", {"TimePeriod": {"Start": "2026-01-01", "End": "2026-01-02"}}, "ce"),
    "xray": ("get_groups", {}, "xray"),
    "personalize": ("list_datasets", {}, "personalize"),
    "redshift": ("describe_clusters", {}, "redshift"),
    "amp": ("list_workspaces", {}, "aps"),
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


def test_no_request_waits_until_the_models_of_all_services_are_read() -> None:
    code = """
import botocore.session
from ministack.core import router
from embedded_aws.server import unknown_services

unknown_services.install()
read = []
botocore.session.Session.get_service_model = lambda self, name: read.append(name)
print(router._is_aws_service_name("sagemaker"), len(read))
"""
    done = subprocess.run([str(EMULATOR_PYTHON), "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "True 0\n"


def test_every_service_that_is_there_is_found_by_the_name_that_its_requests_are_signed_with(aws: ClientFactory) -> None:
    """``service-quotas`` signs as ``servicequotas``: no service of botocore has that name."""
    assert aws("service-quotas").list_service_quotas(ServiceCode="sagemaker")["Quotas"]
