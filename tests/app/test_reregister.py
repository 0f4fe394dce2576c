"""The same model for another kind of instance: new packages with the other image, once, with everything else as it was."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from deployed_app import NAMES
from typer.testing import CliRunner, Result

from cli.console import FAILED, WRONG_OPTIONS
from cli.main import app
from embedded_aws.testing.fixtures import REGION, ClientFactory
from embedded_aws.tools import launcher
from lambdas.tuning.register_candidates.registration import package_request
from stacks.images import inference_image

GPU, CPU = "ml.g4dn.xlarge", "ml.m5.large"
"""The stage dev has a CPU type."""


@pytest.fixture(scope="module")
def package(aws: ClientFactory) -> str:
    """ARN of an approved package with the GPU image."""
    name = f"reregister-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=name)
    for key in ("model.tar.gz", "evaluation.json"):
        aws("s3").put_object(Bucket=name, Key=key, Body=b"x")
    aws("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    candidate = {"training_job": "job-001", "objective": 0.7, "macro_f1": 0.75, "dataset_version": "0123456789abcdef",
                 "model_uri": f"s3://{name}/model.tar.gz", "evaluation_uri": f"s3://{name}/evaluation.json"}  # fmt: skip
    request = package_request(candidate, group=name, image=inference_image(REGION, GPU), tuning_job="tuning-1", approval="Approved")
    # As an earlier version of the app registered them.
    request["InferenceSpecification"]["SupportedRealtimeInferenceInstanceTypes"] = [GPU]
    return str(aws("sagemaker").create_model_package(**request)["ModelPackageArn"])


@pytest.fixture
def run(emulator: launcher.Emulator) -> Any:
    variables = {"AWS_ENDPOINT_URL": emulator.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["release", "reregister", *arguments], env=variables)

    return invoke


def test_a_package_gets_the_image_of_the_stages_instance_type_and_keeps_the_rest(aws: ClientFactory, run: Any, package: str) -> None:
    done = run(package, "--json")
    assert done.exit_code == 0, done.output
    created = json.loads(done.output)[package]
    assert json.loads(run(package, "--json").output) == {package: created}, "once, however often it is asked"
    old, new = (aws("sagemaker").describe_model_package(ModelPackageName=arn) for arn in (package, created))
    assert new["ModelPackageGroupName"] == old["ModelPackageGroupName"]
    (was,), (now,) = (item["InferenceSpecification"]["Containers"] for item in (old, new))
    assert now["Image"] == inference_image(REGION, CPU)
    assert (now["ModelDataUrl"], now["Environment"]) == (was["ModelDataUrl"], was["Environment"])
    assert "SupportedRealtimeInferenceInstanceTypes" not in new["InferenceSpecification"]
    for same in ("ModelApprovalStatus", "ModelMetrics", "ModelPackageDescription"):
        assert new[same] == old[same]
    assert new["CustomerMetadataProperties"] == {**old["CustomerMetadataProperties"], "reregistered_from": package}
    assert "has it already" in run(created).output


def test_without_arguments_it_takes_what_is_released(aws: ClientFactory, run: Any, package: str) -> None:
    name = NAMES.parameter("release")
    aws("ssm").put_parameter(Name=name, Value="none,none", Type="StringList")
    try:
        nothing = run()
        assert nothing.exit_code == FAILED
        assert "nothing is released in stage dev yet: name the packages" in nothing.output
        aws("ssm").put_parameter(Name=name, Value=f"{package},{package}", Type="StringList", Overwrite=True)
        assert list(json.loads(run("--json").output)) == [package]
    finally:
        aws("ssm").delete_parameter(Name=name)


def test_what_cannot_be_done_is_said(run: Any) -> None:
    unknown = run(f"arn:aws:sagemaker:{REGION}:000000000000:model-package/nobody/1")
    assert unknown.exit_code == FAILED
    assert "does not exist" in unknown.output
    assert "list-model-packages" in unknown.output
    stage = run("--stage", "nowhere")
    assert stage.exit_code == WRONG_OPTIONS
    assert "stages with a file: dev" in stage.output
