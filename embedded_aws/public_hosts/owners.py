"""Which public hosts this account has. Hooks: the records of ministack's CloudFront, Cognito and API Gateway."""

from __future__ import annotations

from typing import Any

from ministack.core import responses
from ministack.services import apigateway, cloudfront, cognito

from embedded_aws.public_hosts.names import Kind, PublicHost


def is_ours(host: PublicHost) -> bool:
    """Whether the account has this host now."""
    if host.kind is Kind.DISTRIBUTION:
        return distribution(host) is not None
    if host.kind is Kind.SIGN_IN:
        return user_pool(host) is not None
    if host.kind is Kind.HTTP_API:
        return bool(apigateway.find_api_scope(host.label) == (responses.get_account_id(), host.region))
    return True


def distribution(host: PublicHost) -> dict[str, Any] | None:
    """The enabled distribution of that domain."""
    found: dict[str, Any] | None = cloudfront.find_distribution_for_label(host.label)
    return found if found is not None and found.get("enabled", True) else None


def user_pool(host: PublicHost) -> str | None:
    """Id of the user pool whose domain prefix that is."""
    found: str | None = cognito._pool_domain_map.get_scoped(responses.get_account_id(), host.region, host.label)
    return found
