"""InvokeEndpoint: weights split the traffic, instances take turns, model errors become ModelError (424)."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import random
import time
from dataclasses import dataclass

from ministack.core import responses

from embedded_aws.core.api import ApiError, HttpRequest, HttpResponse, route
from embedded_aws.sagemaker.hosting import capture, endpoint_metrics, endpoints, traffic
from embedded_aws.sagemaker.hosting.endpoints import Endpoint
from embedded_aws.sagemaker.hosting.instances import Instance
from embedded_aws.sagemaker.hosting.variants import Fleet, Variant

MAX_BODY = 6 * 1024 * 1024
"""Bytes of a real-time request (botocore's BodyBlob)."""
_SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack")
_FORWARDED = {
    "content-type": "Content-Type",
    "accept": "Accept",
    "x-amzn-sagemaker-custom-attributes": "X-Amzn-SageMaker-Custom-Attributes",
}
_CONTENT_TYPE = "content-type"
"""Lower case, because ministack rewrites ``Content-Type`` to that of the service's control plane."""
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. "
    "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)
_draws = random.Random()  # noqa: S311  (traffic split, no secret)


@dataclass(frozen=True)
class _Chosen:
    fleet: Fleet
    variant: Variant
    instance: Instance | None
    instances: int
    during_update: bool


@route("sagemaker", "POST", r"/endpoints/([^/]+)/invocations")
def invoke_endpoint(request: HttpRequest) -> HttpResponse:
    started = time.perf_counter()
    endpoint = endpoints.find(request.match[0])
    if endpoint is None or endpoint.status not in _SERVING:
        raise ApiError("ValidationError", f"Endpoint {request.match[0]} of account {responses.get_account_id()} not found.")
    if len(request.body) > MAX_BODY:
        limit = f"Member must have length less than or equal to {MAX_BODY}"
        raise ApiError("ValidationError", f"1 validation error detected: Value at 'body' failed to satisfy constraint: {limit}")
    chosen = _choose(endpoint, request.headers.get("x-amzn-sagemaker-target-variant"))
    status, headers, body, model_seconds = _ask(chosen, request)
    endpoint_metrics.publish(
        endpoint_metrics.Invocation(
            endpoint.name, chosen.variant.name, status, model_seconds, time.perf_counter() - started - model_seconds, chosen.instances
        ),
        chosen.fleet.config_name if chosen.during_update else None,
    )
    if status is None:
        raise ApiError("ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503)
    if not 200 <= status < 300:
        return _model_error(endpoint, chosen, status, body)
    _capture(endpoint, chosen, request, headers, body)
    answer = {
        _CONTENT_TYPE: headers.get("content-type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": chosen.variant.name,
    }
    if "x-amzn-sagemaker-custom-attributes" in headers:
        answer["X-Amzn-SageMaker-Custom-Attributes"] = headers["x-amzn-sagemaker-custom-attributes"]
    return 200, answer, body


def _choose(endpoint: Endpoint, target: str | None) -> _Chosen:
    with endpoint.lock:
        blue, green, shares = endpoint.blue, endpoint.green, endpoint.green_share()
        if target is None:
            candidates = traffic.routes(blue.weights(), green.weights() if green else {}, shares)
        else:
            candidates = traffic.aimed_at(target, list(blue.variants), list(green.variants) if green else [], shares)
            if not candidates:
                raise ApiError("ValidationError", f"Variant {target} not found for Request. Endpoint {endpoint.name} has no such variant.")
        chosen = traffic.choose(candidates, _draws.random())
        if chosen is None:
            raise ApiError("ValidationError", f"No production variant of endpoint {endpoint.name} has a weight above zero.")
        from_green = chosen.fleet == "green" and green is not None
        fleet = green if green is not None and from_green else blue
        variant = fleet.variants[chosen.variant]
        instance = variant.next_instance(endpoint.green_active.get(variant.name) if from_green else None)
        if instance is not None:
            instance.acquire()
        return _Chosen(fleet, variant, instance, len(variant.instances), green is not None)


def _ask(chosen: _Chosen, request: HttpRequest) -> tuple[int | None, dict[str, str], bytes, float]:
    """Status (0: timed out, None: no answer), headers, body, seconds."""
    if chosen.instance is None:
        return None, {}, b"", 0.0
    forwarded = {name: request.headers[key] for key, name in _FORWARDED.items() if key in request.headers}
    started = time.perf_counter()
    try:
        status, headers, body = chosen.instance.invoke(request.body, forwarded)
    except TimeoutError:
        return 0, {}, _TIMED_OUT.encode(), time.perf_counter() - started
    except (OSError, http.client.HTTPException):
        if chosen.instance.has_died():
            chosen.instance.healthy = False  # the next request goes elsewhere, before the health check has seen it
        return None, {}, b"", time.perf_counter() - started
    return status, headers, body, time.perf_counter() - started


def _model_error(endpoint: Endpoint, chosen: _Chosen, status: int, body: bytes) -> HttpResponse:
    region, account = responses.get_region(), responses.get_account_id()
    kind = "client" if 0 < status < 500 else "server"
    text = body.decode("utf-8", errors="replace")
    group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
    error = {
        "ErrorCode": f"{kind.upper()}_ERROR_FROM_MODEL",
        "LogStreamArn": f"arn:aws:logs:{region}:{account}:log-group:{group}",
        "Message": (
            f'Received {kind} error ({status}) from primary with message "{text[:1_024]}". See https://{region}.console.aws.amazon.com/'
            f"cloudwatch/home?region={region}#logEventViewer:group={group} in account {account} for more information."
        ),
        "OriginalMessage": text[:2_048],
        "OriginalStatusCode": status,
    }
    headers = {
        _CONTENT_TYPE: "application/json",
        "x-amzn-ErrorType": "ModelError",
        "x-Amzn-Invoked-Production-Variant": chosen.variant.name,
    }
    return 424, headers, json.dumps(error).encode()


def _capture(endpoint: Endpoint, chosen: _Chosen, request: HttpRequest, headers: dict[str, str], body: bytes) -> None:
    config = chosen.fleet.config.get("DataCaptureConfig")
    if not config or not capture.is_sampled(config):
        return
    exchange = capture.Exchange(
        request_type=request.headers.get("content-type", "application/octet-stream"),
        request_body=request.body,
        response_type=headers.get("content-type", "application/octet-stream"),
        response_body=body,
        inference_id=request.headers.get("x-amzn-sagemaker-inference-id"),
        custom_attributes=request.headers.get("x-amzn-sagemaker-custom-attributes"),
        time=dt.datetime.now(dt.UTC),
    )
    model = chosen.instance.model if chosen.instance else None
    if model is not None:
        capture.record(capture.target_of(endpoint.name, chosen.variant.name, config, model.role_arn), config, exchange)
