"""Custom resource ``Custom::PortalSignIn``: reviewers can sign in to the worker portal, whose address exists only after the workforce."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.common.clients import client
from lambdas.common.observability import logger
from lambdas.custom_resources.portal_sign_in.sign_in import update_request
from lambdas.custom_resources.response import ResourceResult, answer


def sign_in(event: Mapping[str, Any], cognito: Any) -> ResourceResult:
    """Create and Update set the client's call-back; Delete changes nothing, since the client itself goes or stays with its pool."""
    properties = event["ResourceProperties"]
    names = {"UserPoolId": properties["UserPoolId"], "ClientId": properties["ClientId"]}
    if event["RequestType"] != "Delete":
        updatable = cognito.meta.service_model.operation_model("UpdateUserPoolClient").input_shape.members
        described = cognito.describe_user_pool_client(**names)["UserPoolClient"]
        cognito.update_user_pool_client(**update_request(described, properties["SubDomain"], updatable))
        logger.info("worker portal signs in", extra={"sub_domain": properties["SubDomain"]})
    return ResourceResult(physical_id=f"{names['UserPoolId']}/{names['ClientId']}")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns what was sent to CloudFormation."""
    return answer(event, lambda request: sign_in(request, client("cognito-idp")))
