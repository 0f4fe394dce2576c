"""The key as A2I and Ground Truth need it under the roles that we give them.

Source: SageMaker developer guide, "Permissions and Security in Amazon Augmented AI" (a customer managed key) and "Encrypt Output Data and
Storage Volume with AWS KMS" (sms-security-kms-permissions). Both list these five actions.
"""

from __future__ import annotations

from stacks.constructs.own_role import OwnRole

_ACTIONS = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")


def allow_key_use(holder: OwnRole, key_arn: str) -> None:
    """Let a service write and read under the customer managed key with this role."""
    because = "AWS documents this family of actions for the role; which of them the service calls it does not say. One key"
    holder.allow(_ACTIONS, [key_arn], because=because)
