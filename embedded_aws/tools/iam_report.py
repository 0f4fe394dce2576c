"""What each role was denied, and which of its grants nothing used: least privilege as a run shows it.

Reads the embedded AWS's audit log (``iam-audit.jsonl``) and the roles' policies. A grant that a run never used is not
proof that it is superfluous: services that act inside the embedded AWS (log delivery, tracing) make no calls.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from embedded_aws.tools.read_back.template import Session, parsed


@dataclass(frozen=True)
class Decision:
    """One kind of call of one role, and how often it was made."""

    action: str
    resource: str
    allowed: bool
    count: int


@dataclass(frozen=True)
class Grant:
    """One action of one Allow statement."""

    policy: str
    action: str
    resources: tuple[str, ...]

    def covers(self, decision: Decision) -> bool:
        return _matches(self.action.lower(), decision.action.lower()) and any(_matches(r, decision.resource) for r in self.resources)


@dataclass(frozen=True)
class RoleReport:
    """One role; ``denied`` and ``unused`` are sorted."""

    role: str
    trusted: tuple[str, ...]
    calls: int
    denied: tuple[Decision, ...]
    unused: tuple[Grant, ...]


def report(session: Session, audit_file: Path, *, prefix: str = "") -> list[RoleReport]:
    """A report per role whose name starts with ``prefix``, by name.

    Args:
        session: may read IAM.
        audit_file: the embedded AWS's ``iam-audit.jsonl``; a missing file means that nothing was called.
    """
    made = decisions(audit_file)
    iam = session.client("iam")
    reports = []
    for role in sorted(_roles(iam), key=lambda entry: str(entry["RoleName"])):
        name = str(role["RoleName"])
        if name.startswith(prefix):
            reports.append(role_report(name, _trusted(role), _grants(iam, name), made.get(name, [])))
    return reports


def role_report(role: str, trusted: tuple[str, ...], grants: Iterable[Grant], made: Iterable[Decision]) -> RoleReport:
    """The pure part of :func:`report`."""
    made = list(made)
    used = [decision for decision in made if decision.allowed]
    unused = [grant for grant in grants if not any(grant.covers(decision) for decision in used)]
    return RoleReport(
        role=role,
        trusted=trusted,
        calls=sum(decision.count for decision in made),
        denied=tuple(sorted((d for d in made if not d.allowed), key=lambda d: (d.action, d.resource))),
        unused=tuple(sorted(unused, key=lambda grant: (grant.action, grant.resources))),
    )


def decisions(audit_file: Path) -> dict[str, list[Decision]]:
    """What was decided, by role name, or by the principal as it was recorded; a line that a kill cut short is skipped."""
    counted: dict[str, Counter[tuple[str, str, bool]]] = defaultdict(Counter)
    lines = audit_file.read_text(encoding="utf-8").split("\n") if audit_file.exists() else []
    for line in lines:
        try:
            entry = json.loads(line)
            who, decided = _name(entry["principal"]), (entry["action"], entry["resource"], entry["allowed"])
        except (ValueError, KeyError, TypeError):
            continue
        counted[who][decided] += 1
    return {who: [Decision(*key, count) for key, count in counts.items()] for who, counts in counted.items()}


def denied(audit_file: Path) -> list[tuple[str, Decision]]:
    """Every denied call, as ``(role or other principal, decision)``; empty after a run with enough grants."""
    return _denied(decisions(audit_file))


def totals(audit_file: Path) -> dict[str, Any]:
    """``{"calls", "denied", "denied_calls"}``: how many calls were decided on and denied, and which, as ``"<who> <action>"``."""
    made = decisions(audit_file)
    refused = _denied(made)
    return {
        "calls": sum(decision.count for of_one in made.values() for decision in of_one),
        "denied": sum(decision.count for _, decision in refused),
        "denied_calls": sorted({f"{who} {decision.action}" for who, decision in refused}),
    }


def _denied(made: Mapping[str, list[Decision]]) -> list[tuple[str, Decision]]:
    return [(who, decision) for who, of_one in sorted(made.items()) for decision in of_one if not decision.allowed]


def _name(principal: str) -> str:
    """The name of an assumed role. Any other principal (root, a user, ``anonymous``) stays as it was recorded."""
    return principal.partition(":assumed-role/")[2].split("/")[0] or principal


def _roles(iam: Any) -> Iterator[Mapping[str, Any]]:
    for page in iam.get_paginator("list_roles").paginate():
        yield from page["Roles"]


def _trusted(role: Mapping[str, Any]) -> tuple[str, ...]:
    found: set[str] = set()
    for statement in _as_list(parsed(role["AssumeRolePolicyDocument"])["Statement"]):
        principal = statement.get("Principal", {})
        for names in principal.values() if isinstance(principal, dict) else [principal]:
            found |= set(_as_list(names))
    return tuple(sorted(found))


def _grants(iam: Any, role: str) -> Iterator[Grant]:
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        yield from _allowed(name, parsed(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]))
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        if not arn.startswith("arn:aws:iam::aws:"):
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            yield from _allowed(policy["PolicyName"], parsed(document))


def _allowed(policy: str, document: Mapping[str, Any]) -> Iterator[Grant]:
    for statement in _as_list(document["Statement"]):
        if statement["Effect"] == "Allow":
            for action in _as_list(statement.get("Action", [])):
                yield Grant(policy, action, tuple(_as_list(statement.get("Resource", "*"))))


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    """IAM's wildcards: ``*`` and ``?``, nothing else."""
    return re.compile("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern), re.DOTALL)
