"""Jobs that bring a command of their own, above all the SageMaker SDK's ``ModelTrainer``: its request, with the SDK's own drivers.

``ModelTrainer`` is in ``sagemaker``, a gigabyte that is not installed; its drivers and templates are in ``sagemaker-core`` too. The
requests here are those that ``ModelTrainer._create_training_job_args`` makes of a ``SourceCode`` with an ``entry_script`` or a ``command``.
"""

from __future__ import annotations

import json
import tarfile
import uuid
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError
from sagemaker.core.modules import constants, templates
from sagemaker.core.modules.train import container_drivers
from sagemaker.core.resources import TrainingJob
from sagemaker.core.shapes import (
    AlgorithmSpecification,
    Channel,
    DataSource,
    OutputDataConfig,
    ResourceConfig,
    S3DataSource,
    StoppingCondition,
)
from sagemaker.core.utils.utils import SageMakerClient

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.fixtures import REGION, ClientFactory, RoleFactory
from embedded_aws.testing.jobs import Jobs
from embedded_aws.tools import launcher

pytestmark = pytest.mark.slow
TRAIN = """
import argparse, json, os, pathlib
import beside

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
parser.add_argument("--note")
given = parser.parse_args()
rows = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "rows.txt").read_text()
assert json.loads(os.environ["SM_HPS"])["epochs"] == given.epochs
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(f"{rows} {given.epochs} {given.note} {beside.VALUE}")
print("score=0.9")
"""


@pytest.fixture(scope="module")
def jobs(aws: ClientFactory, make_role: RoleFactory) -> Jobs:
    return job_setup.prepare(aws, make_role, "model-trainer-tests")


def upload(jobs: Jobs, folder: Path, prefix: str) -> str:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            jobs.put(f"{prefix}/{path.relative_to(folder)}", path.read_bytes())
    return f"s3://{jobs.bucket}/{prefix}"


def drivers(jobs: Jobs, prefix: str, *, entry_script: str | None = None, command: str | None = None) -> str:
    """The channel ``sm_drivers``, made as ``ModelTrainer`` makes it."""
    uri = upload(jobs, Path(container_drivers.__file__).parent, prefix)
    execute = templates.EXECUTE_BASIC_SCRIPT_DRIVER if command is None else templates.EXECUTE_BASE_COMMANDS.format(base_command=command)
    script = templates.TRAIN_SCRIPT_TEMPLATE.format(
        working_dir=f"cd {constants.SM_CODE_CONTAINER_PATH} \n", install_requirements="", execute_driver=execute
    )
    jobs.put(f"{prefix}/{constants.TRAIN_SCRIPT}", script)
    jobs.put(f"{prefix}/sourcecode.json", json.dumps({"source_dir": "src", "entry_script": entry_script, "command": command}))
    jobs.put(f"{prefix}/distributed.json", json.dumps({}))
    return uri


def request(jobs: Jobs, *, train: str = TRAIN, **source: str) -> dict[str, Any]:
    name = f"trainer-{uuid.uuid4().hex[:8]}"
    prefix = f"sdk/{name}/input"
    jobs.put(f"{prefix}/train/rows.txt", "7 rows")
    jobs.put(f"{prefix}/code/train.py", train)
    jobs.put(f"{prefix}/code/beside.py", "VALUE = 'beside'")
    channels = {name: f"s3://{jobs.bucket}/{prefix}/{name}" for name in ("train", "code")}
    channels["sm_drivers"] = drivers(jobs, f"{prefix}/sm_drivers", **(source or {"entry_script": "train.py"}))
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": job_setup.IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": constants.DEFAULT_CONTAINER_ENTRYPOINT,
            "ContainerArguments": constants.DEFAULT_CONTAINER_ARGUMENTS,
            "MetricDefinitions": [{"Name": "validation:score", "Regex": "score=([0-9.]+)"}],
        },
        "HyperParameters": {"epochs": "3", "note": "two words"},
        "InputDataConfig": [{**jobs.channel(key, uri), "InputMode": "File"} for key, uri in channels.items()],
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "RoleArn": jobs.role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": 3_600},
        "OutputDataConfig": {"S3OutputPath": f"s3://{jobs.bucket}/sdk/{name}/output", "CompressionType": "GZIP"},
        "Environment": {},
        "EnableManagedSpotTraining": False,
    }


def model(jobs: Jobs, described: dict[str, Any]) -> str:
    """The text that the job left as its model."""
    assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
    with tarfile.open(fileobj=BytesIO(jobs.read(described["ModelArtifacts"]["S3ModelArtifacts"]))) as archive:
        content = archive.extractfile("model.txt")
        assert content is not None
        return content.read().decode()


def test_a_model_trainers_entry_script_trains(jobs: Jobs) -> None:
    described = jobs.run("training", request(jobs))
    assert model(jobs, described) == "7 rows 3 two words beside"
    assert described["FinalMetricDataList"][0]["Value"] == pytest.approx(0.9)
    assert described["AlgorithmSpecification"]["ContainerEntrypoint"] == ["/bin/bash"]


def test_a_model_trainers_command_trains(jobs: Jobs) -> None:
    described = jobs.run("training", request(jobs, command="python3 train.py --epochs 3 --note $SM_CURRENT_HOST"))
    assert model(jobs, described) == "7 rows 3 algo-1 beside"


def test_the_failure_is_what_the_sdks_driver_wrote_of_it(jobs: Jobs) -> None:
    described = jobs.run("training", request(jobs, train="raise ValueError('no such column')"))
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("AlgorithmError: Traceback")
    assert "returned non-zero exit status 1" in described["FailureReason"]


def test_the_same_job_by_the_sdks_resource_class(jobs: Jobs, emulator: launcher.Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.url)
    SageMakerClient.reset()
    asked = request(jobs)
    algorithm, resources = asked["AlgorithmSpecification"], asked["ResourceConfig"]
    made = TrainingJob.create(
        training_job_name=asked["TrainingJobName"],
        role_arn=jobs.role_arn,
        algorithm_specification=AlgorithmSpecification(
            training_image=algorithm["TrainingImage"],
            training_input_mode="File",
            container_entrypoint=algorithm["ContainerEntrypoint"],
            container_arguments=algorithm["ContainerArguments"],
        ),
        hyper_parameters=asked["HyperParameters"],
        input_data_config=[
            Channel(
                channel_name=row["ChannelName"],
                input_mode="File",
                data_source=DataSource(
                    s3_data_source=S3DataSource(
                        s3_data_type="S3Prefix",
                        s3_uri=row["DataSource"]["S3DataSource"]["S3Uri"],
                        s3_data_distribution_type="FullyReplicated",
                    )
                ),
            )
            for row in asked["InputDataConfig"]
        ],
        output_data_config=OutputDataConfig(s3_output_path=asked["OutputDataConfig"]["S3OutputPath"], compression_type="GZIP"),
        resource_config=ResourceConfig(instance_type=resources["InstanceType"], instance_count=1, volume_size_in_gb=30),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=3_600),
        enable_managed_spot_training=False,
        session=Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION),
    )
    SageMakerClient.reset()
    assert made is not None
    assert model(jobs, jobs.ended("training", asked["TrainingJobName"])) == "7 rows 3 two words beside"


def test_a_command_of_ones_own_has_the_folder_and_pythons_of_the_image(jobs: Jobs) -> None:
    asked = jobs.training("")
    asked["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": ["python3", "-c"],
        "ContainerArguments": [
            "import json, os; print(json.load(open('/opt/ml/input/config/resourceconfig.json'))['current_host'], 'score=1')"
        ],
    }
    assert jobs.run("training", asked)["FinalMetricDataList"][0]["Value"] == 1
    asked = {**jobs.training(""), "AlgorithmSpecification": {**asked["AlgorithmSpecification"], "ContainerEntrypoint": ["no-such-program"]}}
    assert "has no program no-such-program" in jobs.run("training", asked)["FailureReason"]
    del asked["AlgorithmSpecification"]["ContainerEntrypoint"]
    with pytest.raises(ClientError, match="ContainerArguments without ContainerEntrypoint is not emulated"):
        jobs.start("training", asked)


def test_the_toolkits_submit_directory_may_be_in_s3(jobs: Jobs) -> None:
    """As the SDK's estimators send it: both hyper-parameters are JSON strings, and no channel brings the code."""
    uri = jobs.put(f"submitted/{uuid.uuid4().hex[:8]}/sourcedir.tar.gz", job_setup.archive("print('score=0.25')", "run.py"))
    parameters = {"sagemaker_program": '"run.py"', "sagemaker_submit_directory": json.dumps(uri)}
    asked = {**jobs.training(""), "HyperParameters": parameters}
    del asked["InputDataConfig"]
    assert jobs.run("training", asked)["FinalMetricDataList"][0]["Value"] == 0.25

    isolated = jobs.run("training", {**asked, "TrainingJobName": f"isolated-{uuid.uuid4().hex[:8]}", "EnableNetworkIsolation": True})
    assert "EnableNetworkIsolation is on" in isolated["FailureReason"]
    gone = {**parameters, "sagemaker_submit_directory": json.dumps(f"{uri}.gone")}
    missing = jobs.run("training", {**asked, "TrainingJobName": f"gone-{uuid.uuid4().hex[:8]}", "HyperParameters": gone})
    assert f"{uri}.gone" in missing["FailureReason"]
