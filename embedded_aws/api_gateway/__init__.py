"""API Gateway: what an HTTP API's callers and functions see of it."""

from __future__ import annotations


def install() -> None:
    """Put the hooks in place."""
    from embedded_aws.api_gateway import http_api

    http_api.install()
