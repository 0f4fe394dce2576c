"""What a role may do, for services that decide by themselves instead of calling with the role's session.

Step Functions and CloudFormation work inside the emulator's process; their calls are judged here by ministack's own evaluator
and recorded like any other. Permission boundaries and session policies of such roles are not looked at.
"""

from __future__ import annotations

from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, responses
from ministack.services import iam as ministack_iam

from embedded_aws import iam
from embedded_aws.iam.requests import Check

_SOURCE_ACCOUNT_SENT_BY = frozenset({"sagemaker.amazonaws.com"})
"""Services that say for which account they assume a role. Source: SageMaker developer guide, "Cross-service confused deputy
prevention". CloudFormation documents it for extensions and stack sets only, not for a stack's service role."""


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
    """Whether the role exists in this account and its trust policy, conditions and denials included, lets the service assume it."""
    return role_exists(role_arn) and is_trusted(ministack_iam._roles[role_arn.rsplit("/", 1)[-1]]["AssumeRolePolicyDocument"], service)


def is_trusted(document: str | dict[str, Any], service: str) -> bool:
    """Whether a trust policy lets a service of this account assume its role.

    Of the confused-deputy keys a service sends what it documents to send, ``_SOURCE_ACCOUNT_SENT_BY``. No service here sends
    ``aws:SourceArn``, since a role's session is shared by what a service does: a role that asks for it is not assumed, unlike on AWS.
    """
    account = responses.get_account_id()
    asked = iam_evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action="sts:AssumeRole",
        resource_arn="*",
        region=responses.get_region(),
        service_context={"aws:sourceaccount": account} if service in _SOURCE_ACCOUNT_SENT_BY else {},
    )
    return bool(iam_evaluator.evaluate_resource_policy(document, asked, service=service).decision == "Allow")
