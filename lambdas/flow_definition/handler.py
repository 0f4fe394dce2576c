"""Custom resource ``Custom::FlowDefinition`` (see :mod:`lambdas.flow_definition.definition`)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from lambdas.common.custom_resource import answer
from lambdas.common.observability import logger
from lambdas.flow_definition.definition import FlowDefinitions


@cache
def _flow_definitions() -> FlowDefinitions:
    retries = Config(retries={"mode": "standard"})
    return FlowDefinitions(
        sagemaker=boto3.client("sagemaker", config=retries),
        runtime=boto3.client("sagemaker-a2i-runtime", config=retries),
        pause=time.sleep,
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns what was sent to CloudFormation."""
    return answer(event, lambda request: _flow_definitions().handle(request))
