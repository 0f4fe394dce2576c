"""``smoke`` on a deployed stage of the embedded AWS: real training, a real endpoint, a real review, and nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.smoke.assumptions import ASSUMPTIONS
from contracts.dataset import Manifest
from embedded_aws.tools import launcher
from embedded_aws.tools.clients import ACCOUNT, Clients
from embedded_aws.tools.deployer import deploy
from local.texts import corpus
from stacks.names import Names
from stacks.settings import load_settings

pytestmark = [pytest.mark.demo, pytest.mark.timeout(1_800)]  # real training and a real endpoint on two cores

REGION = "us-east-1"
NAMES, NEW, PROD = (Names(load_settings(launcher.ROOT / "settings" / f"{stage}.yaml"), ACCOUNT) for stage in ("dev", "newacct", "prod"))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[launcher.Emulator]:
    """The dev stage as an operator has it after the deploy and the uploads; nothing is released. The version has labels and no rows."""
    running = launcher.start(tmp_path_factory.mktemp("smoke") / "run", port=launcher.free_port(), time_scale=0.02, region=REGION)
    try:
        deploy(synthesised("dev"), running.url)
        s3 = Clients(running.url, REGION)("s3")
        for path in corpus.base_model_files():
            s3.upload_file(str(path), NAMES.bucket("data"), f"base-model/{path.name}")
        manifest = Manifest("0" * 16, None, ("bad", "good"), {}, {}, {}, {"train/data.jsonl": "0" * 64})
        bucket, uri = NAMES.bucket("data"), f"s3://{NAMES.bucket('data')}/datasets/labels"
        s3.put_object(Bucket=bucket, Key="datasets/labels/manifest.json", Body=manifest.to_json().encode())
        Clients(running.url, REGION)("ssm").put_parameter(Name=NAMES.parameter("dataset"), Value=uri, Type="String", Overwrite=True)
        yield running
    finally:
        running.stop()


def run(emulator: launcher.Emulator, *options: str, answer: str = "") -> Result:
    environment: dict[str, str | None] = {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": None,
        "AWS_PROFILE": None,
    }
    return CliRunner().invoke(app, ["smoke", "--minutes", "12", *options], env=environment, input=answer)


def contents(emulator: launcher.Emulator) -> dict[str, Any]:
    """What a run could leave behind: objects of every bucket, endpoints, models, configurations, packages, records, messages."""
    clients = Clients(emulator.url, REGION)
    s3, sagemaker, sqs = (clients(service) for service in ("s3", "sagemaker", "sqs"))
    buckets = [NAMES.bucket(purpose) for purpose in ("data", "models", "capture", "review")]
    queues = [sqs.get_queue_url(QueueName=NAMES.queue(f"review-requests{end}"))["QueueUrl"] for end in ("", "-dlq")]
    counts = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in queues]
    objects = [item["Key"] for bucket in buckets for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return {
        # The scheduled drift check may query meanwhile.
        "objects": [key for key in objects if not key.startswith("athena-results/")],
        "endpoints": sagemaker.list_endpoints()["Endpoints"],
        "models": sagemaker.list_models()["Models"],
        "configurations": sagemaker.list_endpoint_configs()["EndpointConfigs"],
        "packages": sagemaker.list_model_packages(ModelPackageGroupName=NAMES.model_package_group)["ModelPackageSummaryList"],
        "records": Clients(emulator.url, REGION)("dynamodb").scan(TableName=NAMES.predictions_table)["Count"],
        "messages": [int(count["ApproximateNumberOfMessages"]) for count in counts],
    }


def test_every_leg_passes_and_nothing_is_left(emulator: launcher.Emulator) -> None:
    before = contents(emulator)
    done = run(emulator, "--yes", "--json")
    report = json.loads(done.stdout)
    assert {leg["leg"]: leg["status"] for leg in report["legs"]} == dict.fromkeys(
        ("tuning", "endpoint", "prediction", "capture", "review", "drift"), "passed"
    ), report["legs"]
    assert done.exit_code == 0
    assert report["left"] == []
    assert set(report["proven"]) == {assumption.id for assumption in ASSUMPTIONS if assumption.legs}
    assert contents(emulator) == before


def test_a_leg_that_fails_is_told_and_the_rest_is_still_removed(emulator: launcher.Emulator) -> None:
    before = contents(emulator)
    iam, stack = Clients(emulator.url, REGION)("iam"), Clients(emulator.url, REGION)("cloudformation")
    resources = stack.list_stack_resources(StackName=NAMES.stack("monitoring"))["StackResourceSummaries"]
    roles = [item["PhysicalResourceId"] for item in resources if item["ResourceType"] == "AWS::IAM::Role"]
    (role,) = (name for name in roles if "DetectDrift" in name)
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "ssm:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="broken", PolicyDocument=json.dumps(deny))
    done = run(emulator, "--yes", "--only", "review", "--only", "drift")
    assert done.exit_code == 1
    assert "ok  review: human loop smoke" in done.stdout
    assert f"NO  drift: {NAMES.function('detect-drift')} failed" in done.stdout
    assert "athena-query" in done.stdout.partition("Still open")[2]
    assert contents(emulator) == before
    iam.delete_role_policy(RoleName=role, PolicyName="broken")


def test_a_new_account_s_stage_captures_by_its_own_function(emulator: launcher.Emulator, synthesised: Callable[[str], Path]) -> None:
    deploy(synthesised("newacct"), emulator.url)
    done = run(emulator, "--stage", "newacct", "--yes", "--json", "--only", "capture", "--only", "review")
    report = json.loads(done.stdout)
    assert {leg["leg"]: leg["status"] for leg in report["legs"]} == {"capture": "passed", "review": "skipped"}, report["legs"]
    assert (report["left"], report["proven"]) == ([], ["capture"])
    s3 = Clients(emulator.url, REGION)("s3")
    assert "Contents" not in s3.list_objects_v2(Bucket=NEW.bucket("capture"), Prefix="capture/")


def test_it_says_what_it_can_cost_and_asks(emulator: launcher.Emulator) -> None:
    done = run(emulator, answer="n\n")
    assert done.exit_code == 2
    assert "one training job on ml.g4dn.xlarge: some 6 minutes (price unknown)" in done.stdout
    assert "not started" in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "weather"], "no such leg"),
        (["--stage", "prod"], f"{PROD.stack('foundation')} is not deployed"),
        (["--minutes", "0"], "--minutes"),
    ],
)
def test_what_cannot_start_says_why(emulator: launcher.Emulator, options: list[str], words: str) -> None:
    done = run(emulator, *options)
    assert done.exit_code == 2
    assert words in done.stderr
