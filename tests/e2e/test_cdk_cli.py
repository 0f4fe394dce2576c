"""The real CDK CLI against the embedded AWS: bootstrap, deploy, deploy again, destroy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.tools import deployer, launcher
from embedded_aws.tools.clients import Clients
from embedded_aws.tools.read_back.comparison import read_back

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
SMALL_APP = """
from aws_cdk import App, CfnOutput, Environment, RemovalPolicy, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker
import sys

app = App(outdir=sys.argv[1], analytics_reporting=False)
stack = Stack(app, "small", env=Environment(region="us-east-1"))
bucket = s3.Bucket(stack, "Bucket", versioned=True, removal_policy=RemovalPolicy.DESTROY)
code = lambda_.Code.from_asset(sys.argv[2])
function = lambda_.Function(stack, "Function", runtime=lambda_.Runtime.PYTHON_3_12, handler="index.handler", code=code)
bucket.grant_read(function)
sagemaker.CfnModelPackageGroup(stack, "Group", model_package_group_name="small-models")
CfnOutput(stack, "Name", value=function.function_name)
app.synth()
"""


class Cdk:
    """``npx cdk`` with nothing but the endpoint and the emulator's root credentials in its environment."""

    def __init__(self, url: str, home: Path) -> None:
        self.url = url
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            "CI": "true",
        }

    def __call__(self, *arguments: str) -> str:
        command = ["npx", "--no-install", "cdk", "--no-notices", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4_000:]}\n{done.stderr[-4_000:]}"
        return done.stdout + done.stderr

    def client(self, service: str) -> Any:
        return Clients(self.url, REGION)(service)


@pytest.fixture(scope="module")
def cdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cdk]:
    """The CLI and an emulator that it has bootstrapped."""
    folder = tmp_path_factory.mktemp("cdk")
    emulator = launcher.start(folder / "run", port=launcher.free_port(), time_scale=0.02, region=REGION)
    try:
        cli = Cdk(emulator.url, folder)
        cli("bootstrap", f"aws://{deployer.ACCOUNT}/{REGION}", "--app", "")
        yield cli
    finally:
        emulator.stop()


def test_the_pinned_cli_is_installed(cdk: Cdk) -> None:
    assert cdk("--version").startswith("2.1148.1")


def test_bootstrap_gives_the_role_that_deploys_its_policy(cdk: Cdk) -> None:
    role = f"cdk-hnb659fds-cfn-exec-role-{deployer.ACCOUNT}-{REGION}"
    attached = cdk.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [deployer.EXECUTION_POLICY]


def test_a_small_app_is_deployed_left_alone_and_destroyed(cdk: Cdk, tmp_path: Path) -> None:
    code, out = tmp_path / "code", tmp_path / "cdk.out"
    code.mkdir()
    (code / "index.py").write_text("def handler(event, context):\n    return {'echo': event}\n")
    (tmp_path / "app.py").write_text(SMALL_APP)
    subprocess.run([sys.executable, str(tmp_path / "app.py"), str(out), str(code)], check=True, capture_output=True)

    outputs = tmp_path / "outputs.json"
    cdk("deploy", "--app", str(out), "--all", "--require-approval", "never", "--outputs-file", str(outputs))
    name = json.loads(outputs.read_text())["small"]["Name"]
    answer = cdk.client("lambda").invoke(FunctionName=name, Payload=json.dumps({"a": 1}))
    assert json.load(answer["Payload"]) == {"echo": {"a": 1}}
    assert (
        cdk.client("sagemaker").describe_model_package_group(ModelPackageGroupName="small-models")["ModelPackageGroupStatus"] == "Completed"
    )
    template = json.loads((out / "small.template.json").read_text())
    assert [str(difference) for difference in read_back(template, cdk, "small")] == []
    assert "no changes" in cdk("deploy", "--app", str(out), "--all", "--require-approval", "never")
    cdk("destroy", "--app", str(out), "--all", "--force")
    assert [s["StackName"] for s in cdk.client("cloudformation").describe_stacks()["Stacks"]] == ["CDKToolkit"]


def test_the_projects_app_is_deployed_as_it_is_synthesised(cdk: Cdk, synthesised: Callable[[str], Path], tmp_path: Path) -> None:
    out = shutil.copytree(synthesised("dev"), tmp_path / "cdk.out")  # the CLI leaves files in it
    cdk("deploy", "--app", str(out), "--all", "--require-approval", "never", "--concurrency", "8")
    cloudformation = cdk.client("cloudformation")
    for stack in deployer.read_assembly(out):
        template = json.loads(stack.template.read_bytes())
        described = cloudformation.describe_stacks(StackName=stack.name)["Stacks"][0]
        assert described["StackStatus"] == "CREATE_COMPLETE"
        running = cloudformation.get_template(StackName=stack.name, TemplateStage="Original")["TemplateBody"]
        assert (json.loads(running) if isinstance(running, str) else running) == template
        assert [str(difference) for difference in read_back(template, cdk, stack.name)] == []
