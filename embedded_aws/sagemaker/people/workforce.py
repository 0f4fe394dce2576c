"""The private workforce: one per account and region, backed by one Cognito user pool.

Source: SageMaker developer guide, "Create and Manage Private Workforces"; API reference, CreateWorkforce.
Reproduced: a second workforce is refused, the pool needs a domain, work teams must go first. Not emulated:
OIDC workforces and the IP allow list (kept and described, not enforced).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from ministack.core import responses

from embedded_aws.core import sessions
from embedded_aws.core.api import Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.listing import page

WORKFORCES = Records("workforce")
on_delete: list[Callable[[str], None]] = []
"""Called with the workforce's name before it is deleted; one that raises ApiError refuses the deletion (its work teams must go first)."""


def only_workforce() -> Request | None:
    """The account's workforce in this region, if there is one."""
    found = WORKFORCES.items()
    return found[0][1] if found else None


def need_workforce(name: str | None) -> Request:
    """The named workforce, or the only one.

    Raises:
        ApiError: ValidationException when there is none.
    """
    if name is not None:
        return WORKFORCES.need(name)
    workforce = only_workforce()
    if workforce is None:
        raise validation_error("No private workforce exists in this account and region: call CreateWorkforce first.")
    return workforce


def cognito() -> Any:
    return sessions.root_session().client("cognito-idp")


def _check_cognito(config: Request) -> None:
    client = cognito()
    try:
        pool = client.describe_user_pool(UserPoolId=config["UserPool"])["UserPool"]
        client.describe_user_pool_client(UserPoolId=config["UserPool"], ClientId=config["ClientId"])
    except ClientError as error:
        raise validation_error(f"Cognito refuses CognitoConfig: {error.response['Error']['Message']}") from None
    if not pool.get("Domain") and not pool.get("CustomDomain"):
        raise validation_error(f"The user pool {config['UserPool']} has no domain: a workforce needs one for its sign-in page.")


@operation("sagemaker", "CreateWorkforce")
def create_workforce(request: Request) -> Response:
    name = request["WorkforceName"]
    with WORKFORCES.lock:
        existing = only_workforce()
        if existing is not None:
            raise validation_error(
                "You can have one private workforce per AWS Region in an account, and "
                f'"{existing["WorkforceArn"]}" exists: delete it, or use it by its name.'
            )
        if ("CognitoConfig" in request) == ("OidcConfig" in request):
            raise validation_error("Specify exactly one of CognitoConfig and OidcConfig.")
        if "OidcConfig" in request:
            raise validation_error("OidcConfig is not part of the embedded AWS: use CognitoConfig.")
        _check_cognito(request["CognitoConfig"])
        arn = WORKFORCES.arn(name)
        now = dt.datetime.now(dt.UTC)
        WORKFORCES.add(
            name,
            {
                "WorkforceName": name,
                "WorkforceArn": arn,
                "CognitoConfig": request["CognitoConfig"],
                "SourceIpConfig": request.get("SourceIpConfig", {"Cidrs": ["0.0.0.0/0"]}),
                "SubDomain": f"{hashlib.sha256(arn.encode()).hexdigest()[:10]}.labeling.{responses.get_region()}.sagemaker.aws",
                "Status": "Active",
                "CreateDate": now,
                "LastUpdatedDate": now,
            },
        )
    return {"WorkforceArn": arn}


@operation("sagemaker", "DescribeWorkforce")
def describe_workforce(request: Request) -> Response:
    return {"Workforce": WORKFORCES.need(request["WorkforceName"])}


@operation("sagemaker", "UpdateWorkforce")
def update_workforce(request: Request) -> Response:
    """Only the IP allow list may change: the name and the user pool replace the workforce."""
    workforce = WORKFORCES.need(request["WorkforceName"])
    if "OidcConfig" in request:
        raise validation_error("A workforce that was made with CognitoConfig cannot change to OidcConfig.")
    if "SourceIpConfig" in request:
        workforce["SourceIpConfig"] = request["SourceIpConfig"]
    workforce["LastUpdatedDate"] = dt.datetime.now(dt.UTC)
    return {"Workforce": workforce}


@operation("sagemaker", "ListWorkforces")
def list_workforces(request: Request) -> Response:
    rows = [record for _, record in WORKFORCES.items()]
    return page(rows, request, "Workforces", name="WorkforceName", created="CreateDate")


@operation("sagemaker", "DeleteWorkforce")
def delete_workforce(request: Request) -> Response:
    WORKFORCES.need(request["WorkforceName"])
    for listener in on_delete:
        listener(request["WorkforceName"])
    WORKFORCES.remove(request["WorkforceName"])
    return {}
