"""A stack's service role (``RoleARN``): kept with the stack, shown by DescribeStacks, and really asked when resources change.

Stock ministack ignores ``RoleARN`` and ``ClientRequestToken``. Hooks: ``handlers._ACTION_HANDLERS`` and
``ssm.resolve_parameter_value``; the types' handlers come through :func:`guarded`.

As in AWS, a stack keeps the role of its last operation that named one ("CloudFormation uses this role for all future operations
on the stack"), the deletion too. Of the resource types only those of ``stack_role_needs.COVERED`` are enforced; the rest, such as
roles, functions and custom resources, is provisioned unchecked, and everything is when a stack has no role. Reading an
``AWS::SSM::Parameter::Value`` takes ``ssm:GetParameters`` of the role.

A repeated ClientRequestToken: the same operation on the same stack is answered as the first time and starts nothing; another
operation is refused with TokenAlreadyExistsException. AWS documents that retries carry the token, not how they are answered: unverified.
"""

from __future__ import annotations

import contextvars
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ministack.core import responses
from ministack.services import cloudformation, ssm
from ministack.services import iam as ministack_iam
from ministack.services.cloudformation import changesets, handlers, helpers

from embedded_aws.cloudformation.stack_role_needs import LINKED_ROLE_NAME, Change, Properties, Verb, needed
from embedded_aws.core.api import ApiError
from embedded_aws.iam.requests import Check
from embedded_aws.iam.role_decisions import Denied, may_be_assumed_by, require
from embedded_aws.sagemaker.hosting import hosting_tags

HttpResponse = tuple[int, dict[str, str], bytes]
Handler = Callable[[dict[str, Any]], HttpResponse]
SESSION = "AWSCloudFormation"
PRINCIPAL = "cloudformation.amazonaws.com"
_WITH_ROLE = ("CreateStack", "UpdateStack", "DeleteStack", "ExecuteChangeSet", "ContinueUpdateRollback", "RollbackStack")
_WITH_TOKEN = ("CreateStack", "UpdateStack")
_BUSY = re.compile(rb"Stack \[[^\]]*\] is in (\w+) state and cannot be updated")

# Set around an operation's handler; the task that provisions is scheduled there and copies the context.
_role: contextvars.ContextVar[str] = contextvars.ContextVar("embedded_aws_stack_role", default="")


def install() -> None:
    """Put the hooks in place."""
    actions = handlers._ACTION_HANDLERS
    for action in _WITH_ROLE:
        actions[action] = _under_the_role(action, actions[action])
    for action in _WITH_TOKEN:
        actions[action] = _once_a_token(action, actions[action])
    actions["CreateChangeSet"] = _keeping_the_role(actions["CreateChangeSet"])
    actions["DescribeStacks"] = _showing_the_role(actions["DescribeStacks"])
    actions["UpdateStack"] = _worded_as_aws(actions["UpdateStack"])
    ssm.resolve_parameter_value = _read_by_the_role(ssm.resolve_parameter_value)


# -- resources -------------------------------------------------------------------------------------


def guarded(type_name: str, verb: Verb, name: str, *, old: Properties | None = None, new: Properties | None = None) -> None:
    """Ask the running operation's role for what a resource's change takes; does nothing when the stack has no role.

    Raises:
        ApiError: AccessDeniedException, which names principal, action and resource.
    """
    role = _role.get()
    if not role:
        return
    change = Change(verb, name, responses.get_region(), responses.get_account_id(), old or {}, new or {})
    for check in needed(type_name, change):
        if check.action == "iam:CreateServiceLinkedRole" and LINKED_ROLE_NAME in ministack_iam._roles:
            continue
        # What is only used, such as an endpoint's configuration, has its tags in the service.
        used = {f"aws:ResourceTag/{key}": value for key, value in hosting_tags.of(check.resource).items()}
        try:
            require(role, SESSION, replace(check, context={**used, **check.context}))
        except Denied as denied:
            raise ApiError("AccessDeniedException", str(denied), 403) from None


def _read_by_the_role(resolve: Callable[..., Any]) -> Callable[..., Any]:
    def read(name_or_arn: str, *args: Any, **kwargs: Any) -> Any:
        if _role.get() and name_or_arn:
            name = name_or_arn.rsplit(":parameter", 1)[-1].lstrip("/")
            arn = f"arn:aws:ssm:{responses.get_region()}:{responses.get_account_id()}:parameter/{name}"
            try:
                require(_role.get(), SESSION, Check("ssm:GetParameters", arn))
            except Denied as denied:  # a ValidationError of the operation
                raise ValueError(f"AccessDenied. User doesn't have permission to call ssm:GetParameters: {denied}") from None
        return resolve(name_or_arn, *args, **kwargs)

    return read


# -- operations ------------------------------------------------------------------------------------


def _stack(params: dict[str, Any]) -> dict[str, Any]:
    return handlers._resolve_stack(helpers._p(params, "StackName")) or {}


def _change_set(params: dict[str, Any]) -> dict[str, Any]:
    return changesets._find_change_set(helpers._p(params, "ChangeSetName"), helpers._p(params, "StackName"))[1] or {}


def _unassumable(role: str) -> HttpResponse | None:
    if not role or may_be_assumed_by(role, PRINCIPAL):
        return None
    refused: HttpResponse = helpers._error("ValidationError", f"Role {role} is invalid or cannot be assumed")
    return refused


def _under_the_role(action: str, stock: Handler) -> Handler:
    """Run the operation under the role that it names, else the one that the stack has."""

    def operate(params: dict[str, Any]) -> HttpResponse:
        before, given = _stack(params), helpers._p(params, "RoleARN")
        if action == "ExecuteChangeSet":
            change_set = _change_set(params)
            given, before = change_set.get("_role_arn", ""), cloudformation._stacks.get(change_set.get("StackName", "")) or {}
        role = given or ("" if action == "CreateStack" else before.get("_role_arn", ""))
        refused = _unassumable(given)
        if refused is not None:
            return refused
        scope = _role.set(role)
        try:
            response = stock(params)
        finally:
            _role.reset(scope)
        stack = _stack(params) if action == "CreateStack" else before
        if response[0] == 200 and stack and given:
            stack["_role_arn"] = given
        return response

    return operate


def _keeping_the_role(stock: Handler) -> Handler:
    """A change set's role is used when it is executed; its parameters are read by it at once."""

    def create(params: dict[str, Any]) -> HttpResponse:
        given = helpers._p(params, "RoleARN")
        refused = _unassumable(given)
        if refused is not None:
            return refused
        scope = _role.set(given or _stack(params).get("_role_arn", ""))
        try:
            response = stock(params)
        finally:
            _role.reset(scope)
        if response[0] == 200 and given:
            _change_set(params)["_role_arn"] = given
        return response

    return create


def _showing_the_role(stock: Handler) -> Handler:
    def describe(params: dict[str, Any]) -> HttpResponse:
        status, headers, body = stock(params)
        for stack in cloudformation._stacks.values():
            if stack.get("_role_arn"):
                identity = f"<StackId>{stack['StackId']}</StackId>".encode()
                body = body.replace(identity, identity + f"<RoleARN>{stack['_role_arn']}</RoleARN>".encode())
        return status, headers, body

    return describe


def _once_a_token(action: str, stock: Handler) -> Handler:
    def operate(params: dict[str, Any]) -> HttpResponse:
        token, stack = helpers._p(params, "ClientRequestToken"), _stack(params)
        used = stack.get("_request_tokens", {}).get(token) if token else None
        response: HttpResponse
        if used is not None and used[0] != action:
            response = helpers._error("TokenAlreadyExistsException", f"Token {token} already exists")
            return response
        if used is not None:
            response = used[1]
            return response
        response = stock(params)
        if token and response[0] == 200:
            _stack(params).setdefault("_request_tokens", {})[token] = (action, response)
        return response

    return operate


def _worded_as_aws(stock: Handler) -> Handler:
    def update(params: dict[str, Any]) -> HttpResponse:
        status, headers, body = stock(params)
        identity = str(_stack(params).get("StackId", "")).encode()
        return status, headers, _BUSY.sub(rb"Stack:" + identity + rb" is in \1 state and can not be updated.", body)

    return update
