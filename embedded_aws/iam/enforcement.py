"""Puts SageMaker, passed roles, customer keys and the audit log into ministack's IAM enforcement.

Hooks: ``iam_actions.extract_iam_action``, ``extract_resource_arn``, ``access_denied_response``, ``SERVICE_TO_IAM_NAMESPACE``;
``iam_evaluator.enforce``; ``app.pin_request_origin``. The router calls them in that order within one request.
"""

from __future__ import annotations

import contextvars
import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import athena

from embedded_aws.iam import decided_once, encryption, requests, signatures
from embedded_aws.iam.audit_log import audit
from embedded_aws.iam.requests import Call, Check, Context
from embedded_aws.sqs import message_moves

_call: contextvars.ContextVar[Call | None] = contextvars.ContextVar("embedded_aws_iam_call", default=None)
_refused: contextvars.ContextVar[Check | None] = contextvars.ContextVar("embedded_aws_iam_refused", default=None)
_QUERY_LISTS = ("AlarmNames", "Names")


def install() -> None:
    """Put the hooks in place."""
    for service in ("sagemaker", "application-autoscaling"):
        iam_actions.SERVICE_TO_IAM_NAMESPACE[service] = service
    iam_actions.extract_iam_action = _remembering_the_call(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _knowing_more_resources(iam_actions.extract_resource_arn)
    iam_actions.access_denied_response = _naming_what_was_refused(iam_actions.access_denied_response)
    iam_evaluator.enforce = _checking_everything(iam_evaluator.enforce)
    pin = app.pin_request_origin
    # The loopback interface is plain HTTP; on AWS these calls are TLS, and policies deny what is not.
    app.pin_request_origin = lambda source_ip, secure_transport: pin(source_ip, True)  # noqa: ARG005  (the hook's signature)


def _remembering_the_call(extract: Any) -> Any:
    @functools.wraps(extract)
    def wrapper(  # noqa: PLR0917  (the hook's signature)
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: dict[str, Any]
    ) -> str | None:
        action: str | None = None
        if service == "sagemaker":
            action = requests.runtime_action(method, path)
        action = action or extract(service, method, path, headers, body, query_params)
        _refused.set(None)
        _call.set(
            Call(
                service=service,
                operation=action.split(":", 1)[1] if action else "",
                body=_parsed(service, headers, body, query_params),
                region=responses.get_region(),
                account=responses.get_account_id(),
                method=method,
                path=path,
                query=query_params,
            )
        )
        return action

    return wrapper


def _parsed(service: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]) -> Mapping[str, Any]:
    if service == "s3":
        return {}
    if "cbor" in headers.get("content-type", ""):
        import cbor2  # type: ignore[import-not-found]  # comes with the emulator's environment

        return _mapping(lambda: cbor2.loads(body))
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        return _from_form({**query, **parse_qs(body.decode("utf-8", "replace"))})
    return _mapping(lambda: json.loads(body or b"{}"))


def _mapping(load: Any) -> Mapping[str, Any]:
    try:
        value = load()
    except Exception:
        return {}
    return value if isinstance(value, Mapping) else {}


def _from_form(form: Mapping[str, Any]) -> Mapping[str, Any]:
    flat = {key: value[0] if isinstance(value, list) and value else value for key, value in form.items()}
    for name in _QUERY_LISTS:
        listed = [value for key, value in flat.items() if key.startswith(f"{name}.member.")]
        if listed:
            flat[name] = listed
    return flat


def _knowing_more_resources(extract: Any) -> Any:
    @functools.wraps(extract)
    def wrapper(service: str, *args: Any) -> str:
        call = _call.get()
        found = _resources(call) if call is not None and call.service == service else None
        return found[0] if found else extract(service, *args)

    return wrapper


def _resources(call: Call) -> list[str] | None:
    if call.service == "sqs":
        source = message_moves.source_arn(call)
        return [source] if source else None
    if call.service == "athena" and call.body.get("QueryExecutionId"):
        execution = athena._executions.get(call.body["QueryExecutionId"])
        return [call.arn("athena", f"workgroup/{(execution or {}).get('WorkGroup') or 'primary'}")]
    return requests.resources(call)


def _checking_everything(stock: Any) -> Any:
    """The action on each of its resources, then the roles it passes, then the keys behind what it touches."""

    @functools.wraps(stock)
    def enforce(  # noqa: PLR0917  (the hook's signature)
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: Context | None = None,
    ) -> Any:
        refused = signatures.anonymous_refusal(iam_action)
        if refused is not None:
            return refused
        call = _call.get()
        ours = call is not None and iam_action.endswith(f":{call.operation}") and service == call.service
        keys = {**(service_context or {}), **(requests.context(call) if ours and call else {})}
        asked = Check(iam_action, resource_arn, keys)
        with decided_once.one_request():
            denied = _decide(stock, access_key_id, service, region, asked)
            if denied is not None or _is_root(access_key_id):
                return denied
            for check in _further(call if ours and call else Call(service, "", {}, region, responses.get_account_id()), asked):
                denied = _decide(stock, access_key_id, check.action.split(":", 1)[0], region, check)
                if denied is not None:
                    _refused.set(check)
                    return denied
        return None

    return enforce


def _further(call: Call, asked: Check) -> Iterator[Check]:
    for other in (_resources(call) or [])[1:]:
        yield Check(asked.action, other, asked.context)
    yield from requests.passed_roles(call)
    yield from encryption.implied_checks(asked.action, asked.resource, call)
    if call.service == "sqs":
        for check in message_moves.needed(call):
            yield check
            yield from encryption.implied_checks(check.action, check.resource, call)


def _decide(stock: Any, access_key_id: str, service: str, region: str, check: Check) -> Any:
    denied = stock(access_key_id, check.action, service, region, resource_arn=check.resource, service_context=check.context or None)
    audit(_principal(access_key_id), check.action, check.resource, denied is None)
    return denied


def _credential(access_key_id: str) -> Any:
    account = responses._account_from_sts_session(access_key_id) or responses.get_account_id()
    return iam_evaluator.resolve_credential(access_key_id, account) if access_key_id else None


def _principal(access_key_id: str) -> str:
    return str(getattr(_credential(access_key_id), "principal_arn", "") or "anonymous")


def _is_root(access_key_id: str) -> bool:
    return getattr(_credential(access_key_id), "principal_type", "") == "Root"


def _naming_what_was_refused(stock: Any) -> Any:
    """The denial names the action and the resource that were refused, as AWS's does."""

    @functools.wraps(stock)
    def wrapper(service: str, action: str, principal_arn: str, request_id: str, **details: Any) -> Any:
        refused = _refused.get()
        if refused is not None:
            action, details = refused.action, {**details, "resource_arn": refused.resource, "message": ""}
        named = details.get("resource_arn")
        if named and not details.get("error_code") and not details.get("message") and not details.get("resource_policy_arn"):
            explicit = bool(details.get("explicit_deny"))
            details["message"] = iam_actions.identity_denial_message(action, principal_arn, named, explicit)
        return stock(service, action, principal_arn, request_id, **details)

    return wrapper
