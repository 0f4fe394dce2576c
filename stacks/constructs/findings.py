"""Wildcards in grants: the audit (cdk-nag, AwsSolutions-IAM5) finds each, and each is acknowledged where it is granted, with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct


def acknowledge_resources(holder: IConstruct, resources: Iterable[str], because: str) -> None:
    """Say why a role or policy has the wildcards that are among its resources; those without one need no reason."""
    for resource in resources:
        text = _as_the_audit_writes(Stack.of(holder).resolve(resource))
        if "*" in text:
            acknowledge(holder, f"Resource::{text}", because)


def acknowledge(holder: IConstruct, finding: str, reason: str) -> None:
    """Acknowledge one exact finding (``Resource::<...>`` or ``Action::<...>``) of a role or policy."""
    Validations.of(holder).acknowledge(Acknowledgment(id=f"AwsSolutions-IAM5[{finding}]", reason=reason))


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
