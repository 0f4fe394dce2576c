"""The key as A2I and Ground Truth need it under the roles that we give them.

Source: SageMaker developer guide, "Permissions and Security in Amazon Augmented AI" (a customer managed key) and "Encrypt Output Data and
Storage Volume with AWS KMS" (sms-security-kms-permissions). Both list these five actions.
"""

from __future__ import annotations

from aws_cdk import aws_iam as iam

from stacks.constructs import findings

_ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")


def allow_key_use(role: iam.Role, key_arn: str) -> None:
    """Let a service write and read under the customer managed key with this role."""
    role.add_to_policy(iam.PolicyStatement(actions=list(_ACTIONS), resources=[key_arn]))
    for action in _ACTIONS:
        if action.endswith("*"):
            because = "AWS documents this family of actions for the role; which of them the service calls it does not say. One key"
            findings.acknowledge(role, f"Action::{action}", because)
