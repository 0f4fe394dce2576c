"""The foundation's resources as another stack sees them: by literal name or SSM parameter, never by export."""

from __future__ import annotations

from functools import cached_property

from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from stacks.settings import Settings
from stacks.template_names import template_names


class SharedResources(Construct):
    """Imports of the foundation stack's resources; creates nothing.

    Args:
        key: given by the foundation stack only, which owns the key; everyone else reads its ARN.
    """

    def __init__(self, scope: Construct, settings: Settings, *, key: kms.IKey | None = None) -> None:
        super().__init__(scope, "Shared")
        self.settings = settings
        self.names = template_names(settings)
        self._own_key = key

    @cached_property
    def key(self) -> kms.IKey:
        """The customer managed key; its ARN comes from the parameter ``key-arn``."""
        if self._own_key is not None:
            return self._own_key
        arn = ssm.StringParameter.value_for_string_parameter(self, self.names.parameter("key-arn"))
        return kms.Key.from_key_arn(self, "Key", arn)

    @cached_property
    def predictions(self) -> dynamodb.ITable:
        return dynamodb.Table.from_table_attributes(
            self, "Predictions", table_name=self.names.predictions_table, encryption_key=self.key, grant_index_permissions=True
        )

    @cached_property
    def alerts(self) -> sns.ITopic:
        return sns.Topic.from_topic_arn(self, "Alerts", self.names.arn("sns", self.names.alert_topic))
