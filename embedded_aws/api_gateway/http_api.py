"""HTTP APIs (API Gateway v2) with a Lambda proxy integration, payload format 2.0, as their callers and functions see them on AWS.

ministack routes, authorizes and invokes. This module gives an API its public name (``ApiEndpoint``), completes the event (``cookies``,
``domainName``, the caller's address), asks the function's resource policy, caps the request, and keeps a failing function's traceback from
the caller. Throttling settings are kept and shown; nothing is throttled.

Hooks: ``apigateway._create_api``, ``_invoke_lambda_proxy`` and ``run_reentrant``; ``app._handle_execute_api_request``; the provisioner of
``AWS::ApiGatewayV2::Api``. Sources: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs", "Quotas for HTTP
APIs", "Resource-based policies: permissions for HTTP APIs".
"""

from __future__ import annotations

import contextvars
import functools
import json
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, responses
from ministack.services import apigateway, lambda_svc
from ministack.services.cloudformation import provisioners

from embedded_aws.public_hosts.asked import Answer, Asked
from embedded_aws.public_hosts.names import PublicHost

MOST_BYTES = 10 * 1024 * 1024
"""Largest body of a request. On AWS this limit cannot be raised."""
_TYPE = "AWS::ApiGatewayV2::Api"
_PRINCIPAL = "apigateway.amazonaws.com"
_source_ip: contextvars.ContextVar[str] = contextvars.ContextVar("embedded_aws_http_api_source_ip", default="127.0.0.1")


class _FunctionFailed(Exception):
    """The function raised, timed out or cannot be invoked."""


def install() -> None:
    """Put the hooks in place."""
    apigateway._create_api = _named_publicly(apigateway._create_api)
    apigateway._invoke_lambda_proxy = _permitted(apigateway._invoke_lambda_proxy)
    apigateway.run_reentrant = _completed(apigateway.run_reentrant)
    handler = provisioners._RESOURCE_HANDLERS[_TYPE]
    for verb in ("create", "update"):
        handler[verb] = _with_public_endpoint(handler[verb])


async def answer(host: PublicHost, asked: Asked) -> Answer:
    """What an API's public host answers."""
    if len(asked.body) > MOST_BYTES:
        return 413, {"Content-Type": "application/json"}, b'{"message":"Request Entity Too Large"}'
    token = _source_ip.set(asked.client_ip)
    try:
        found: Answer = await app._handle_execute_api_request(
            f"{host.label}.execute-api.{apigateway._HOST}", asked.path, asked.method, dict(asked.headers), asked.body, asked.query,
            raw_path=asked.raw_path, raw_query_string=asked.query_string,
        )  # fmt: skip
    finally:
        _source_ip.reset(token)
    return found


# -- public name -----------------------------------------------------------------------------------


def domain_name(api_id: str) -> str:
    """The API's public host name in the current region."""
    return f"{api_id}.execute-api.{responses.get_region()}.amazonaws.com"


def _name(api_id: str) -> str | None:
    """Give an HTTP API its public endpoint; None for a WebSocket API, which keeps the address that ministack serves."""
    api = apigateway._apis.get(api_id)
    if api is None or api.get("protocolType") != "HTTP":
        return None
    api["apiEndpoint"] = f"https://{domain_name(api_id)}"
    return str(api["apiEndpoint"])


def _named_publicly(stock: Any) -> Any:
    @functools.wraps(stock)
    def create(data: dict[str, Any]) -> Any:
        status, headers, body = stock(data)
        made = json.loads(body)
        if status < 300 and _name(made["apiId"]):
            return apigateway._apigw_response(apigateway._apis[made["apiId"]], status)
        return status, headers, body

    return create


def _with_public_endpoint(stock: Any) -> Any:
    @functools.wraps(stock)
    def provision(*args: Any, **kwargs: Any) -> Any:
        physical_id, attributes = stock(*args, **kwargs)
        endpoint = _name(physical_id)
        return physical_id, {**attributes, "ApiEndpoint": endpoint} if endpoint else attributes

    return provision


# -- invocation ------------------------------------------------------------------------------------


def _completed(stock: Any) -> Any:
    """The event as AWS sends it. Headers no longer hold the cookies, which are a list of their own."""

    @functools.wraps(stock)
    async def run(function: Any, *args: Any, **kwargs: Any) -> Any:
        if function is not lambda_svc._execute_function_with_config_scope or not _is_proxy_event(args[1]):
            return await stock(function, *args, **kwargs)
        record, event, *rest = args
        result = await stock(function, record, _complete(event), *rest, **kwargs)
        if result.get("error"):
            raise _FunctionFailed
        return result

    return run


def _is_proxy_event(event: Any) -> bool:
    return isinstance(event, dict) and event.get("version") == "2.0" and "type" not in event and "http" in event.get("requestContext", {})


def _complete(event: dict[str, Any]) -> dict[str, Any]:
    headers, context = dict(event["headers"]), event["requestContext"]
    cookies = [cookie.strip() for cookie in headers.pop("cookie", "").split(";") if cookie.strip()]
    api_id = context["apiId"]
    context = {
        **context,
        "domainName": domain_name(api_id),
        "domainPrefix": api_id,
        "http": {**context["http"], "sourceIp": _source_ip.get()},
    }
    completed = {**{key: value for key, value in event.items() if value is not None}, "headers": headers, "requestContext": context}
    return {**completed, "cookies": cookies} if cookies else completed


def _permitted(stock: Any) -> Any:
    @functools.wraps(stock)
    async def invoke(integration: Any, api_id: str, stage: str, path: str, method: str, *args: Any, **kwargs: Any) -> Any:
        route_key = args[3] if len(args) > 3 else kwargs.get("route_key", "$default")
        if not _may_invoke(str(integration.get("integrationUri", "")), f"{api_id}/{stage}/{_route(route_key, method)}"):
            return _failure()
        try:
            return await stock(integration, api_id, stage, path, method, *args, **kwargs)
        except _FunctionFailed:
            return _failure()

    return invoke


def _failure() -> Answer:
    """The answer to a failed request. It does not show the caller the function's error, or that a permission is missing."""
    return 500, {"Content-Type": "application/json"}, b'{"message":"Internal Server Error"}'


def _route(route_key: str, method: str) -> str:
    return route_key if route_key == "$default" else f"{method}{route_key.partition(' ')[2]}"


def _may_invoke(integration_uri: str, route: str) -> bool:
    """Whether the function's resource policy lets this API's route invoke it, which ministack does not ask."""
    if not app.AUTH:
        return True
    reference = apigateway._extract_lambda_ref_from_integration_uri(integration_uri)
    arn = reference if reference.startswith("arn:") else _function_arn(reference)
    found = lambda_svc.function_policy_for_arn(arn)
    account, region = responses.get_account_id(), responses.get_region()
    asked = iam_evaluator.EvalContext(
        principal_arn=_PRINCIPAL,
        principal_type="Service",
        principal_account=account,
        action="lambda:InvokeFunction",
        resource_arn=arn,
        region=region,
        service_context={"aws:sourcearn": f"arn:aws:execute-api:{region}:{account}:{route}", "aws:sourceaccount": account},
    )
    policy = found[0] if found else None
    return bool(iam_evaluator.evaluate_resource_policy(policy, asked, service=_PRINCIPAL).decision == "Allow")


def _function_arn(name: str) -> str:
    return f"arn:aws:lambda:{responses.get_region()}:{responses.get_account_id()}:function:{name}"
