"""Every error that may pass, of every call that a rollout's functions make, is one after which a task is tried again."""

from __future__ import annotations

import re

import botocore.exceptions
import pytest
from botocore.session import get_session

from lambdas.common.batch_get import TableIsBusy
from stacks.rollout.faults import AWS_FAULTS

CALLS = {
    "application-autoscaling": ["RegisterScalableTarget"],
    "cloudformation": ["DescribeStacks", "DescribeStackEvents", "UpdateStack", "ContinueUpdateRollback"],
    "cloudwatch": ["DescribeAlarms", "GetMetricData"],
    "dynamodb": ["Query", "BatchGetItem"],
    "sagemaker": ["DescribeEndpoint", "DescribeEndpointConfig", "DescribeModelPackage", "UpdateEndpointWeightsAndCapacities"],
    "ssm": ["GetParameter", "PutParameter"],
    "stepfunctions": ["ListExecutions"],
}
ANYWHERE = re.compile("Throttl|Throughput|RequestLimit|^Internal(Server|Service)")
"""Names that any operation of a service may give."""
PASSING = re.compile(f"{ANYWHERE.pattern}|TooMany(Requests|Updates)|ConcurrentUpdate|Unavailable")


@pytest.mark.parametrize("service", CALLS)
def test_the_passing_faults_of_a_service_are_tried_again(service: str) -> None:
    model = get_session().get_service_model(service)
    found = {shape.name for shape in model.error_shapes if ANYWHERE.search(shape.name)}
    for operation in CALLS[service]:
        shapes = model.operation_model(operation).error_shapes
        found |= {one.name for one in shapes if PASSING.search(one.name) or one.metadata.get("fault") or one.metadata.get("retryable")}
    assert found - {*AWS_FAULTS} == set()


def test_so_are_failed_connections_and_a_busy_table() -> None:
    bases = (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)
    known = [one for one in vars(botocore.exceptions).values() if isinstance(one, type)]
    found = {one.__name__ for one in known if issubclass(one, bases)}
    assert {*found, TableIsBusy.__name__, "ClientError"} - {*AWS_FAULTS} == set()
