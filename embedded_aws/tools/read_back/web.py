"""Readers of what serves the public: HTTP APIs and CloudFront."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedded_aws.tools.read_back.readers import Clients, Properties
from embedded_aws.tools.read_back.template import named

_RENAMED = {"OriginSslProtocols": "OriginSSLProtocols", "CustomHeaders": "OriginCustomHeaders", "IsIPV6Enabled": "IPV6Enabled"}
"""Members of a distribution that CloudFormation calls otherwise."""


def http_api(clients: Clients, api: str, _: Properties) -> Properties:
    return dict(clients["apigatewayv2"].get_api(ApiId=api))


def integration(clients: Clients, identifier: str, expected: Properties) -> Properties:
    found = clients["apigatewayv2"].get_integration(ApiId=named(expected["ApiId"]), IntegrationId=identifier)
    return {**found, "ApiId": expected["ApiId"]}


def route(clients: Clients, identifier: str, expected: Properties) -> Properties:
    """ministack's physical id has the API's in front."""
    found = clients["apigatewayv2"].get_route(ApiId=named(expected["ApiId"]), RouteId=identifier.rsplit("/", 1)[-1])
    return {**found, "ApiId": expected["ApiId"]}


def stage(clients: Clients, name: str, expected: Properties) -> Properties:
    found = clients["apigatewayv2"].get_stage(ApiId=named(expected["ApiId"]), StageName=name)
    return {**found, "ApiId": expected["ApiId"]}


def distribution(clients: Clients, identifier: str, _: Properties) -> Properties:
    cloudfront = clients["cloudfront"]
    found = cloudfront.get_distribution(Id=identifier)["Distribution"]
    tags = cloudfront.list_tags_for_resource(Resource=found["ARN"])["Tags"]["Items"]
    return {"DistributionConfig": _unwrapped(found["DistributionConfig"]), "Tags": tags}


def origin_access_control(clients: Clients, identifier: str, _: Properties) -> Properties:
    found = clients["cloudfront"].get_origin_access_control(Id=identifier)["OriginAccessControl"]
    return {"OriginAccessControlConfig": found["OriginAccessControlConfig"]}


def response_headers_policy(clients: Clients, identifier: str, _: Properties) -> Properties:
    found = clients["cloudfront"].get_response_headers_policy(Id=identifier)["ResponseHeadersPolicy"]
    return {"ResponseHeadersPolicyConfig": found["ResponseHeadersPolicyConfig"]}


def _unwrapped(value: Any) -> Any:
    """The API's ``{"Quantity": 1, "Items": [...]}`` is a plain list in a template."""
    if isinstance(value, list):
        return [_unwrapped(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) <= {"Quantity", "Items"} and "Quantity" in value:
        return _unwrapped(value.get("Items", []))
    shown = {_RENAMED.get(name, name): _unwrapped(item) for name, item in value.items()}
    methods = value.get("AllowedMethods")
    if isinstance(methods, Mapping):
        shown["AllowedMethods"] = methods.get("Items", [])
        shown["CachedMethods"] = (methods.get("CachedMethods") or {}).get("Items", [])
    return shown
