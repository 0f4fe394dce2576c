"""A first deploy of the foundation that fails leaves nothing behind that stands in the way of the next one."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from aws_cdk import App, CfnResource
from botocore.exceptions import ClientError

from embedded_aws.testing.fixtures import ClientFactory
from embedded_aws.tools import launcher
from embedded_aws.tools.clients import ACCOUNT
from embedded_aws.tools.deployer import DeployError, deploy
from stacks.application import FEATURE_FLAGS
from stacks.foundation import FoundationStack
from stacks.names import Names
from stacks.settings import load_settings

pytestmark = pytest.mark.slow

SETTINGS = load_settings(launcher.ROOT / "settings" / "dev.yaml").model_copy(update={"stage": "first"})


def synthesise(output: Path, *, may_seed: bool = True) -> Path:
    """``may_seed=False``: the function that seeds the parameters is not allowed to write them."""
    app = App(outdir=str(output), context=FEATURE_FLAGS, analytics_reporting=False)
    stack = FoundationStack(app, SETTINGS)
    if not may_seed:
        policy = stack.node.find_child("SeedParameter").node.find_child("Role").node.find_child("DefaultPolicy").node.default_child
        cast(CfnResource, policy).add_property_override("PolicyDocument.Statement.0.Effect", "Deny")
        cast(CfnResource, policy).add_property_override("PolicyDocument.Statement.0.Action", "ssm:PutParameter")
        cast(CfnResource, policy).add_property_override("PolicyDocument.Statement.0.Resource", "*")
    app.synth()
    return output


def test_what_a_failed_deploy_made_is_gone_and_the_next_one_succeeds(
    tmp_path: Path, emulator: launcher.Emulator, aws: ClientFactory
) -> None:
    names = Names(SETTINGS, ACCOUNT)
    data, table = names.bucket("data"), names.predictions_table

    with pytest.raises(DeployError, match="Seed"):
        deploy(synthesise(tmp_path / "broken", may_seed=False), emulator.url)
    with pytest.raises(ClientError, match="404"):
        aws("s3").head_bucket(Bucket=data)
    with pytest.raises(ClientError, match="not found"):
        aws("dynamodb").describe_table(TableName=table)

    deploy(synthesise(tmp_path / "corrected"), emulator.url)
    aws("s3").head_bucket(Bucket=data)
    assert aws("dynamodb").describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"] is True
