"""IAM's policy simulator with what stock ministack leaves out: every resource, the request's context, permission boundaries.

Hooks: the two entries of ``iam._IAM_HANDLERS``. The result names no policies of an organisation and no missing context values.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from ministack.core import iam_evaluator, responses
from ministack.services import iam as ministack_iam

_DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny"}


def install() -> None:
    ministack_iam._IAM_HANDLERS["SimulateCustomPolicy"] = _simulate_custom
    ministack_iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = _simulate_principal


def _single(parameters: dict[str, Any], name: str) -> str:
    """A parameter of the query protocol; empty when it is missing."""
    found = parameters.get(name, "")
    return str(found[0] if isinstance(found, list) else found)


def _members(parameters: dict[str, Any], name: str) -> Iterator[str]:
    """``Name.member.1``, ``Name.member.2`` ... until one is missing."""
    number = 1
    while found := _single(parameters, f"{name}.member.{number}"):
        yield found
        number += 1


def _context(parameters: dict[str, Any]) -> dict[str, Any]:
    """Context keys in small letters -> value, or list of values."""
    context: dict[str, Any] = {}
    number = 1
    while key := _single(parameters, f"ContextEntries.member.{number}.ContextKeyName"):
        values = list(_members(parameters, f"ContextEntries.member.{number}.ContextKeyValues"))
        context[key.lower()] = values if len(values) > 1 else "".join(values)
        number += 1
    return context


def _simulate_custom(parameters: dict[str, Any]) -> Any:
    policies = [iam_evaluator.parse_policy_document(text) for text in _members(parameters, "PolicyInputList")]
    boundary = [iam_evaluator.parse_policy_document(text) for text in _members(parameters, "PermissionsBoundaryPolicyInputList")]
    principal = f"arn:aws:iam::{responses.get_account_id()}:root"
    return _answer("SimulateCustomPolicy", parameters, principal, [p for p in policies if p], [boundary] if boundary else [])


def _simulate_principal(parameters: dict[str, Any]) -> Any:
    arn = _single(parameters, "PolicySourceArn")
    account, name = responses.get_account_id(), arn.rsplit("/", 1)[-1]
    kind = arn.rsplit(":", 1)[-1].split("/", 1)[0]
    stores = {
        "role": (ministack_iam._roles, iam_evaluator._gather_role_policies),
        "user": (ministack_iam._users, iam_evaluator._gather_user_policies),
    }
    if kind not in stores or name not in stores[kind][0]:
        return ministack_iam._error(404, "NoSuchEntity", f"The entity {arn or '(no PolicySourceArn)'} cannot be found.", ns="iam")
    store, gather = stores[kind]
    limits = iam_evaluator._permissions_boundary(store, name, account)
    return _answer("SimulatePrincipalPolicy", parameters, arn, gather(name, account), limits)


def _answer(operation: str, parameters: dict[str, Any], principal: str, policies: list[Any], limits: list[Any]) -> Any:
    context, account = _context(parameters), responses.get_account_id()
    members = []
    for action in _members(parameters, "ActionNames"):
        for resource in list(_members(parameters, "ResourceArns")) or ["*"]:
            asked = iam_evaluator.EvalContext(
                principal_arn=principal,
                principal_type="AssumedRole",
                principal_account=account,
                action=action,
                resource_arn=resource,
                region=responses.get_region(),
                secure_transport=context.get("aws:securetransport", "true") == "true",
                service_context=context,
            )
            members.append(_result(asked, policies, limits))
    body = f"<EvaluationResults>{''.join(members)}</EvaluationResults><IsTruncated>false</IsTruncated>"
    return ministack_iam._xml(200, f"{operation}Response", f"<{operation}Result>{body}</{operation}Result>", ns="iam")


def _result(asked: Any, policies: list[Any], limits: list[Any]) -> str:
    decision = iam_evaluator.evaluate(asked, policies, *limits).decision if policies else "ImplicitDeny"
    bounded = ""
    if limits:
        by_boundary = str(all(iam_evaluator.evaluate(asked, limit).decision == "Allow" for limit in limits)).lower()
        bounded = (
            f"<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>{by_boundary}</AllowedByPermissionsBoundary>"
            "</PermissionsBoundaryDecisionDetail>"
        )
    told = _DECISIONS.get(decision, "implicitDeny")
    return (
        f"<member><EvalActionName>{escape(asked.action)}</EvalActionName><EvalResourceName>{escape(asked.resource_arn)}</EvalResourceName>"
        f"<EvalDecision>{told}</EvalDecision><MatchedStatements/><MissingContextValues/>{bounded}</member>"
    )
