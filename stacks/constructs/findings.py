"""Wildcards in grants: the audit (cdk-nag, AwsSolutions-IAM5) finds each, and each is acknowledged where it is granted, with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct


def acknowledge_wildcards(holder: IConstruct, actions: Iterable[str], resources: Iterable[str], because: str) -> None:
    """Say why a role or policy has the wildcards that are among its actions and resources; those without one need no reason."""
    found = [f"Action::{action}" for action in actions if "*" in action]
    written = (_as_the_audit_writes(Stack.of(holder).resolve(resource)) for resource in resources)
    found += [f"Resource::{resource}" for resource in written if "*" in resource]
    for finding in found:
        Validations.of(holder).acknowledge(Acknowledgment(id=f"AwsSolutions-IAM5[{finding}]", reason=because))


def _as_the_audit_writes(value: Any) -> str:
    """Intrinsic functions in angle brackets, as cdk-nag's ``flattenCfnReference`` does it."""
    match value:
        case str():
            return value
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_as_the_audit_writes(part) for part in parts)
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
    raise TypeError(f"{value!r} is not a resource that a policy can name")
