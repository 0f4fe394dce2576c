"""A construct with a role of its own: what it may do is granted in one way, a wildcard with its reason beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs import findings


class OwnRole(Construct):
    """Base of constructs that set ``role``.

    A construct that also sets ``policy`` gets its grants there: something may then wait for the grants, which a role does not do.
    """

    role: iam.Role
    policy: iam.Policy | None = None

    def allow(
        self,
        actions: Sequence[str],
        resources: Sequence[str],
        conditions: Mapping[str, Mapping[str, object]] | None = None,
        *,
        because: str = "",
    ) -> None:
        """Add one statement; ``because`` is the reason of every wildcard in it, among the actions or the resources."""
        statement = iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=dict(conditions or {}))
        if self.policy is None:
            self.role.add_to_policy(statement)
        else:
            self.policy.add_statements(statement)
        if because:
            findings.acknowledge_wildcards(self.policy or self.role, actions, resources, because)
