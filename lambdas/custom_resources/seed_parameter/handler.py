"""Creates an SSM parameter once and never touches it again.

A parameter that the running system writes (the release, the current dataset) must not be a CloudFormation
parameter resource: any later change of its description or tags would write the first value back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.common.clients import client
from lambdas.common.observability import logger
from lambdas.custom_resources.response import ResourceResult, answer


def seed(event: Mapping[str, Any], ssm: Any) -> ResourceResult:
    """Create -> put unless it exists. Update and Delete change nothing: the value belongs to the running system."""
    properties = event["ResourceProperties"]
    name = properties["Name"]
    if event["RequestType"] == "Create":
        try:
            ssm.put_parameter(
                Name=name, Type=properties["Type"], Value=properties["Value"], Description=properties["Description"], Overwrite=False
            )
        except ssm.exceptions.ParameterAlreadyExists:
            logger.info("parameter exists and keeps its value", extra={"parameter": name})
    return ResourceResult(physical_id=name)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return answer(event, lambda request: seed(request, client("ssm")))
