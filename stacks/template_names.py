"""The names as the templates have them."""

from __future__ import annotations

from aws_cdk import Aws

from stacks.names import Names
from stacks.settings import Settings


def template_names(settings: Settings) -> Names:
    """Names whose account, partition and domain CloudFormation fills in."""
    return Names(settings, Aws.ACCOUNT_ID, Aws.PARTITION, Aws.URL_SUFFIX)
