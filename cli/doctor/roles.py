"""Every role of the app, simulated by IAM for the calls that its policies must allow.

Before the first deploy the policies are simulated by themselves (SimulateCustomPolicy): IAM reads them and finds their conditions
satisfiable. Once a stack is deployed its roles are simulated as they are (SimulatePrincipalPolicy), with permission boundaries and the
organisation's policies, which no template shows. Source: IAM user guide, "IAM policy testing with the IAM policy simulator".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cli.assembly import StackTemplate
from cli.doctor.examination import Examination
from cli.findings import Finding, Level

_EXAMPLE = "example"
_ACTIONS_A_CALL = 50
"""How many actions one simulation takes; IAM bounds the request's size, not this number."""


@dataclass(frozen=True)
class Grant:
    """What a role must be able to call: actions on one resource, and the request's context that the conditions ask for."""

    actions: tuple[str, ...]
    resource: str
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()


def roles(examination: Examination) -> Iterator[Finding]:
    deployed = {template.name: template for template in examination.deployed}
    for template in examination.templates:
        for logical, _ in template.resources("AWS::IAM::Role"):
            running = deployed.get(template.name)
            if running is not None and logical in running.physical:
                yield from _deployed_role(examination, running, logical)
            else:
                yield from _planned_role(examination, template, logical)


def policies_of(template: StackTemplate, role: str) -> list[dict[str, Any]]:
    """The resolved policy documents of a role: the inline ones, and those of each ``AWS::IAM::Policy`` that names the role."""
    found = [policy["PolicyDocument"] for policy in template.document["Resources"][role]["Properties"].get("Policies", [])]
    for _, policy in template.resources("AWS::IAM::Policy"):
        if {"Ref": role} in policy["Properties"].get("Roles", []):
            found.append(policy["Properties"]["PolicyDocument"])
    return [template.resolve(document) for document in found]


def grants_of(documents: list[dict[str, Any]]) -> list[Grant]:
    """Turn every Allow statement into calls. A wildcard in a resource becomes an example; an action with a wildcard is left out."""
    found = []
    for document in documents:
        for statement in _listed(document["Statement"]):
            if statement["Effect"] != "Allow":
                continue
            actions = tuple(action for action in _listed(statement["Action"]) if "*" not in action)
            for resource in _listed(statement.get("Resource", "*")):
                if actions:
                    example = resource if resource == "*" else resource.replace("*", _EXAMPLE).replace("?", "x")
                    found.append(Grant(actions, example, _satisfying(statement.get("Condition", {}))))
    return found


def _satisfying(conditions: dict[str, dict[str, Any]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """A request context that meets the conditions. Negated conditions are met without any context."""
    context = {}
    for operator, keys in conditions.items():
        plain = operator.split(":")[-1].removesuffix("IfExists")
        if "Not" in plain or plain == "Null":
            continue
        for key, values in keys.items():
            context[key] = tuple(str(value).replace("*", _EXAMPLE) for value in _listed(values)[:1])
    return tuple(sorted(context.items()))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _planned_role(examination: Examination, template: StackTemplate, logical: str) -> Iterator[Finding]:
    documents = policies_of(template, logical)
    where = f"{template.name}/{logical}"
    if not documents:
        yield Finding("roles", Level.OK, f"{where} (not deployed yet) has no policy of its own")
        return
    texts = [json.dumps(document) for document in documents]
    iam, grants = examination.account.client("iam"), grants_of(documents)
    denied, calls = _denied(grants, lambda request: iam.simulate_custom_policy(PolicyInputList=texts, **request))
    yield from _findings(
        where, "not deployed yet", denied, calls, "its own policies do not allow what they name: report it with this line."
    )


def _deployed_role(examination: Examination, template: StackTemplate, logical: str) -> Iterator[Finding]:
    documents = policies_of(template, logical)
    where = f"{template.name}/{logical}"
    if not documents:
        yield Finding("roles", Level.OK, f"{where} has no policy of its own")
        return
    iam, account = examination.account.client("iam"), examination.account
    arn = iam.get_role(RoleName=template.physical[logical].rsplit("/", 1)[-1])["Role"]["Arn"]
    grants = grants_of(documents)
    denied, calls = _denied(grants, lambda request: iam.simulate_principal_policy(PolicySourceArn=arn, **request))
    cure = (
        "A permission boundary, an organisation's policy, or a change by hand stands in the way: "
        f"look with `aws iam get-role --role-name {arn.rsplit('/', 1)[-1]}`, then deploy {template.name} again. Account {account.id}."
    )
    yield from _findings(where, "as deployed", denied, calls, cure)


def _findings(where: str, state: str, denied: list[str], calls: int, cure: str) -> Iterator[Finding]:
    for line in denied:
        yield Finding("roles", Level.FAILURE, f"{where} ({state}) may not {line}", cure)
    if not denied:
        yield Finding("roles", Level.OK, f"{where} ({state}) may make all {calls} calls that its stack needs")


def _denied(grants: list[Grant], simulate: Any) -> tuple[list[str], int]:
    """(what is denied, one line per action and resource; how many were asked). Grants with one context are asked together."""
    denied, asked = [], 0
    key = lambda grant: (grant.context, grant.resource)  # noqa: E731  (the same key sorts and groups)
    for (context, resource), group in groupby(sorted(grants, key=key), key=key):
        actions = sorted({action for grant in group for action in grant.actions})
        for start in range(0, len(actions), _ACTIONS_A_CALL):
            request: dict[str, Any] = {"ActionNames": actions[start : start + _ACTIONS_A_CALL], "ResourceArns": [resource]}
            if context:
                request["ContextEntries"] = [
                    {"ContextKeyName": name, "ContextKeyValues": list(values), "ContextKeyType": "string"} for name, values in context
                ]
            for result in simulate(request)["EvaluationResults"]:
                asked += 1
                if result["EvalDecision"] != "allowed":
                    by = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True)
                    boundary = result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary", True)
                    why = "" if by and boundary else " (an organisation's policy)" if not by else " (its permission boundary)"
                    denied.append(f"{result['EvalActionName']} on {resource}: {result['EvalDecision']}{why}")
    return denied, asked
