"""What a role may do, for services that decide by themselves instead of calling with the role's session.

Step Functions and CloudFormation work inside the emulator's process; their calls are judged here by ministack's own evaluator
and recorded like any other. Permission boundaries and session policies of such roles are not looked at.
"""

from __future__ import annotations

import json

from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import iam as ministack_iam

from local.emulator import iam
from local.emulator.iam.requests import Check


class Denied(Exception):
    """The role may not; the text is AWS's sentence, which names principal, action and resource."""

    def __init__(self, message: str, action: str) -> None:
        super().__init__(message)
        self.action = action


def require(role_arn: str, session_name: str, check: Check) -> None:
    """Judge and record one action of a role that a service has assumed as ``session_name``.

    Raises:
        Denied: the role's policies do not allow it, or the role is gone. Never without IAM enforcement.
    """
    if not app.AUTH:
        return
    account, name = responses.get_account_id(), role_arn.rsplit("/", 1)[-1]
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/{session_name}"
    evaluation = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=account,
        action=check.action,
        resource_arn=check.resource,
        region=responses.get_region(),
        service_context={key.lower(): value for key, value in check.context.items()},
    )
    decision = iam_evaluator.evaluate(evaluation, iam_evaluator._gather_role_policies(name, account)).decision
    iam.audit(principal, check.action, check.resource, decision == "Allow")
    if decision != "Allow":
        raise Denied(iam_actions.identity_denial_message(check.action, principal, check.resource, decision == "Deny"), check.action)


def role_exists(role_arn: str) -> bool:
    """Whether this account has the role."""
    role = ministack_iam._roles.get(role_arn.rsplit("/", 1)[-1])
    return role is not None and role.get("Arn") == role_arn


def may_be_assumed_by(role_arn: str, service: str) -> bool:
    """Whether the role exists in this account and its trust policy names the service."""
    if not role_exists(role_arn):
        return False
    return service in trusted_services(ministack_iam._roles[role_arn.rsplit("/", 1)[-1]]["AssumeRolePolicyDocument"])


def trusted_services(document: object) -> set[str]:
    """The service principals that a trust policy allows."""
    parsed = json.loads(document) if isinstance(document, str) else document
    statements = parsed.get("Statement", []) if isinstance(parsed, dict) else []
    found: set[str] = set()
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        if statement.get("Effect") == "Allow":
            found.update([services] if isinstance(services, str) else services)
    return found
