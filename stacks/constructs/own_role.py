"""A construct with a role of its own: what it may do is granted in one way, a wildcard with its reason beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs import findings


class OwnRole(Construct):
    """Base of constructs that set ``role``."""

    role: iam.Role

    def allow(
        self,
        actions: Sequence[str],
        resources: Sequence[str],
        conditions: Mapping[str, Mapping[str, object]] | None = None,
        *,
        because: str = "",
    ) -> None:
        """Add one statement to the role; ``because`` is the reason of a wildcard among the resources."""
        self.role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=dict(conditions or {})))
        if because:
            findings.acknowledge_resources(self.role, resources, because)
