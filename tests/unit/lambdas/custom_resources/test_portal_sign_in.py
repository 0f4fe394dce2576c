"""The worker portal's client: call-back and logout are set, everything else stays."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from lambdas.custom_resources.portal_sign_in.handler import sign_in
from lambdas.custom_resources.portal_sign_in.sign_in import portal_settings, update_request

HOST = "abc123.labeling.us-east-1.sagemaker.aws"
NAMES = {"UserPoolId": "us-east-1_Pool", "ClientId": "client"}
CLIENT = {
    **NAMES,
    "ClientName": "worker-portal",
    "ClientSecret": "a-secret-of-the-form-that-cognito-makes",
    "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    "PreventUserExistenceErrors": "ENABLED",
    "EnableTokenRevocation": False,
}


def request(kind: str) -> dict[str, Any]:
    return {"RequestType": kind, "ResourceProperties": {**NAMES, "SubDomain": HOST, "Client": "{}"}, "LogicalResourceId": "SignIn"}


def client() -> tuple[Any, Stubber]:
    cognito = boto3.client("cognito-idp", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return cognito, Stubber(cognito)


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_portal_signs_in_and_the_rest_of_the_client_stays(kind: str) -> None:
    cognito, stub = client()
    kept = {name: CLIENT[name] for name in ("ClientName", "ExplicitAuthFlows", "PreventUserExistenceErrors", "EnableTokenRevocation")}
    stub.add_response("describe_user_pool_client", {"UserPoolClient": CLIENT}, NAMES)
    stub.add_response(
        "update_user_pool_client",
        {"UserPoolClient": CLIENT},
        {
            **NAMES,
            **kept,
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthFlows": ["code", "implicit"],
            "AllowedOAuthScopes": ["email", "openid", "profile"],
            "CallbackURLs": [f"https://{HOST}/oauth2/idpresponse"],
            "LogoutURLs": [f"https://{HOST}/logout"],
            "SupportedIdentityProviders": ["COGNITO"],
        },
    )
    with stub:
        assert sign_in(request(kind), cognito).physical_id == "us-east-1_Pool/client"
    stub.assert_no_pending_responses()


def test_a_deletion_leaves_the_client_alone() -> None:
    cognito, stub = client()
    with stub:  # any call would fail: no response is queued
        assert sign_in(request("Delete"), cognito).physical_id == "us-east-1_Pool/client"


def test_what_another_application_set_is_replaced_and_unknown_members_are_dropped() -> None:
    other = {**CLIENT, "DefaultRedirectURI": "", "CallbackURLs": ["https://elsewhere/"], "ClientType": "CONFIDENTIAL"}
    asked = update_request(other, HOST, {*CLIENT, "CallbackURLs", "DefaultRedirectURI"} - {"ClientSecret"})
    assert asked["CallbackURLs"] == [f"https://{HOST}/oauth2/idpresponse"]
    assert not {"ClientType", "ClientSecret", "DefaultRedirectURI"} & asked.keys()


@pytest.mark.parametrize("host", ["", "https://portal", "portal/login", "portal:443"])
def test_only_a_host_name_becomes_a_portal(host: str) -> None:
    with pytest.raises(ValueError, match="host name"):
        portal_settings(host)
