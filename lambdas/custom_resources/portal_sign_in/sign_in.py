"""What the worker portal needs of its Cognito client, as a change of the client that is there. Pure.

Source: AWS machine learning blog, "Create a private workforce on Amazon SageMaker Ground Truth with the AWS CDK" (2025-09-11), whose
stack sets the same values after the workforce is made; Cognito API reference, UpdateUserPoolClient.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def portal_settings(sub_domain: str) -> dict[str, Any]:
    """OAuth settings of the client behind ``https://<sub_domain>``, as the SageMaker console's own clients have them.

    Raises:
        ValueError: not a bare host name.
    """
    if not sub_domain or "/" in sub_domain or ":" in sub_domain:
        raise ValueError(f"SubDomain {sub_domain!r} must be the portal's host name, as DescribeWorkforce gives it")
    return {
        "AllowedOAuthFlowsUserPoolClient": True,
        "AllowedOAuthFlows": ["code", "implicit"],
        "AllowedOAuthScopes": ["email", "openid", "profile"],
        "CallbackURLs": [f"https://{sub_domain}/oauth2/idpresponse"],
        "LogoutURLs": [f"https://{sub_domain}/logout"],
        "SupportedIdentityProviders": ["COGNITO"],
    }


def update_request(client: Mapping[str, Any], sub_domain: str, updatable: Collection[str]) -> dict[str, Any]:
    """The UpdateUserPoolClient request that lets the portal sign in and keeps everything else: what is left out is set back.

    Args:
        client: of DescribeUserPoolClient.
        updatable: members of the UpdateUserPoolClient request.
    """
    kept = {name: value for name, value in client.items() if name in updatable and value not in (None, "")}
    return kept | portal_settings(sub_domain)
