"""Custom resource ``Custom::FlowDefinition`` (see :mod:`lambdas.custom_resources.flow_definition.definition`)."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.observability import logger
from lambdas.custom_resources.flow_definition.definition import FlowDefinitions
from lambdas.custom_resources.response import answer


@cache
def _flow_definitions() -> FlowDefinitions:
    return FlowDefinitions(sagemaker=client("sagemaker"), runtime=client("sagemaker-a2i-runtime"), pause=time.sleep)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns what was sent to CloudFormation."""
    return answer(event, lambda request: _flow_definitions().handle(request))
