"""The SageMaker Python SDK's resource classes, a client that nobody here wrote, against the embedded AWS.

The SDK is only told the endpoint URL, by the variable that every AWS SDK reads, and a boto3 session with credentials.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError
from sagemaker.core.resources import (
    Endpoint,
    EndpointConfig,
    HyperParameterTuningJob,
    Model,
    ModelPackage,
    ModelPackageGroup,
    ProcessingJob,
    TrainingJob,
)
from sagemaker.core.shapes import (
    AlgorithmSpecification,
    Channel,
    ContainerDefinition,
    DataSource,
    DesiredWeightAndCapacity,
    MetricDefinition,
    OutputDataConfig,
    ProductionVariant,
    ResourceConfig,
    S3DataSource,
    StoppingCondition,
    Tag,
)
from sagemaker.core.utils.utils import SageMakerClient

from embedded_aws.testing import hosting as hosting_setup
from embedded_aws.testing import jobs as job_setup
from embedded_aws.tools import launcher

pytestmark = pytest.mark.slow  # its packages take each worker that imports this file four seconds of a core
ClientFactory = Callable[..., Any]


@pytest.fixture(scope="module")
def sdk(emulator: launcher.Emulator) -> Iterator[Session]:
    """A session whose clients, made by the SDK itself, reach the emulator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", emulator.url)
        SageMakerClient.reset()
        yield Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
        SageMakerClient.reset()


@pytest.fixture(scope="module")
def hosting(aws: ClientFactory, make_role: Callable[..., str]) -> hosting_setup.Hosting:
    return hosting_setup.prepare(aws, make_role, "sdk-hosting")


@pytest.fixture(scope="module")
def jobs(aws: ClientFactory, make_role: Callable[..., str]) -> job_setup.Jobs:
    return job_setup.prepare(aws, make_role, "sdk-jobs")


def unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


def until(resource: Any, member: str, wanted: str, seconds: float = 60) -> Any:
    """Refresh until a status is there; the SDK's own waiters sleep whole seconds and draw on the terminal."""
    deadline = time.monotonic() + seconds
    while getattr(resource.refresh(), member) != wanted:
        assert time.monotonic() < deadline, getattr(resource, member)
        time.sleep(0.05)
    return resource


@pytest.fixture(scope="module")
def model(sdk: Session, hosting: hosting_setup.Hosting) -> Model:
    container = ContainerDefinition(image=hosting_setup.IMAGE, model_data_url=hosting.upload("sdk"), environment={"SETTING": "by-sdk"})
    made = Model.create(unique("model"), primary_container=container, execution_role_arn=hosting.role_arn, session=sdk)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def endpoint(sdk: Session, model: Model) -> Endpoint:
    """Two variants of the model, weights 3 to 1."""
    variants = [
        ProductionVariant(
            variant_name=name, model_name=model.model_name, instance_type="ml.m5.large", initial_instance_count=1,
            initial_variant_weight=weight,
        )
        for name, weight in (("champion", 3.0), ("challenger", 1.0))
    ]  # fmt: skip
    tags = [Tag(key="team", value="platform")]
    config = EndpointConfig.create(unique("config"), production_variants=variants, tags=tags, session=sdk)
    assert config is not None
    made = Endpoint.create(unique("endpoint"), endpoint_config_name=config.endpoint_config_name, tags=tags, session=sdk)
    assert made is not None
    return until(made, "endpoint_status", "InService")


def test_a_model_is_created_described_and_listed(sdk: Session, model: Model, hosting: hosting_setup.Hosting) -> None:
    found = Model.get(model.model_name, session=sdk)
    assert found.model_arn.endswith(f":model/{model.model_name}")
    assert found.execution_role_arn == hosting.role_arn
    assert (found.primary_container.image, found.primary_container.environment) == (hosting_setup.IMAGE, {"SETTING": "by-sdk"})
    assert model.model_name in [item.model_name for item in Model.get_all(session=sdk)]


def test_an_endpoint_config_is_described(sdk: Session, endpoint: Endpoint, model: Model) -> None:
    config = EndpointConfig.get(endpoint.endpoint_config_name, session=sdk)
    found = {variant.variant_name: variant for variant in config.production_variants}
    assert found["champion"].initial_variant_weight == 3.0
    assert found["challenger"].model_name == model.model_name


def test_an_endpoint_is_described_with_its_variants(sdk: Session, endpoint: Endpoint) -> None:
    found = Endpoint.get(endpoint.endpoint_name, session=sdk)
    assert (found.endpoint_status, found.endpoint_config_name) == ("InService", endpoint.endpoint_config_name)
    assert {v.variant_name: (v.current_weight, v.current_instance_count) for v in found.production_variants} == {
        "champion": (3.0, 1),
        "challenger": (1.0, 1),
    }
    assert found.creation_time <= found.last_modified_time


def test_an_endpoint_is_invoked(endpoint: Endpoint, sdk: Session) -> None:
    answer = endpoint.invoke(
        json.dumps({"inputs": "hello"}), content_type="application/json", target_variant="challenger", inference_id="p-1", session=sdk
    )
    assert answer is not None
    assert answer.invoked_production_variant == "challenger"
    assert answer.content_type == "application/json"
    (prediction,) = json.loads(answer.body.read())
    assert (prediction["label"], prediction["setting"]) == ("sdk", "by-sdk")


def test_a_models_own_error_is_the_sdks_model_error(endpoint: Endpoint, sdk: Session) -> None:
    with pytest.raises(ClientError, match="this input is broken") as caught:
        endpoint.invoke(json.dumps({"inputs": "break"}), content_type="application/json", session=sdk)
    assert caught.value.response["Error"]["Code"] == "ModelError"


def test_weights_are_changed_and_the_endpoint_deleted(sdk: Session, model: Model) -> None:
    variant = ProductionVariant(
        variant_name="champion", model_name=model.model_name, instance_type="ml.m5.large", initial_instance_count=1,
        initial_variant_weight=1.0,
    )  # fmt: skip
    config = EndpointConfig.create(unique("config"), production_variants=[variant], session=sdk)
    assert config is not None
    made = Endpoint.create(unique("endpoint"), endpoint_config_name=config.endpoint_config_name, session=sdk)
    assert made is not None
    until(made, "endpoint_status", "InService")
    made.update_weights_and_capacities([DesiredWeightAndCapacity(variant_name="champion", desired_weight=5.0)], session=sdk)
    until(made, "endpoint_status", "InService")
    assert made.production_variants[0].current_weight == 5.0
    made.delete()
    made.wait_for_delete(poll=1, timeout=30)
    config.delete()
    with pytest.raises(ClientError, match="Could not find"):
        EndpointConfig.get(config.endpoint_config_name, session=sdk)


def test_a_training_job_is_created_waited_for_and_described(sdk: Session, jobs: job_setup.Jobs) -> None:
    code = jobs.put(f"code/{unique('sdk')}/code.tar.gz", job_setup.archive("print('score=0.75')"))
    source = S3DataSource(s3_data_type="S3Prefix", s3_uri=code, s3_data_distribution_type="FullyReplicated")
    made = TrainingJob.create(
        training_job_name=unique("sdk-job"),
        role_arn=jobs.role_arn,
        algorithm_specification=AlgorithmSpecification(
            training_image=job_setup.IMAGE,
            training_input_mode="File",
            metric_definitions=[MetricDefinition(name="validation:score", regex="score=([0-9.]+)")],
        ),
        hyper_parameters={"sagemaker_program": "train.py", "sagemaker_submit_directory": job_setup.CODE},
        input_data_config=[Channel(channel_name="code", data_source=DataSource(s3_data_source=source))],
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{jobs.bucket}/out"),
        resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
        session=sdk,
    )
    assert made is not None
    made.wait(poll=1, logs=False, timeout=60)
    found = TrainingJob.get(made.training_job_name, session=sdk)
    assert (found.training_job_status, found.secondary_status) == ("Completed", "Completed")
    assert [(metric.metric_name, metric.value) for metric in found.final_metric_data_list] == [("validation:score", 0.75)]
    assert [step.status for step in found.secondary_status_transitions][-1] == "Completed"
    assert found.training_start_time <= found.training_end_time


def test_a_processing_job_is_described(sdk: Session, jobs: job_setup.Jobs) -> None:
    ended = jobs.run("processing", jobs.processing("raise SystemExit('not today')"))
    found = ProcessingJob.get(ended["ProcessingJobName"], session=sdk)
    assert found.processing_job_status == "Failed"
    assert "not today" in found.failure_reason
    assert found.processing_output_config.outputs[0].output_name == "out"


def test_a_tuning_job_is_described_with_its_best_training_job(sdk: Session, jobs: job_setup.Jobs) -> None:
    ended = jobs.run("tuning", jobs.tuning("print('score=0.5')", jobs=1))
    found = HyperParameterTuningJob.get(ended["HyperParameterTuningJobName"], session=sdk)
    assert found.hyper_parameter_tuning_job_status == "Completed"
    assert found.best_training_job.final_hyper_parameter_tuning_job_objective_metric.value == 0.5
    assert found.training_job_status_counters.completed == 1
    (child,) = found.get_all_training_jobs(session=sdk)
    assert child.training_job_name == found.best_training_job.training_job_name


def test_a_model_package_is_read_approved_and_listed(sdk: Session, aws: ClientFactory, hosting: hosting_setup.Hosting) -> None:
    """This release of the SDK cannot create one: it reads a member that CreateModelPackage's answer does not have."""
    group = ModelPackageGroup.create(unique("group"), session=sdk)
    assert group is not None
    containers = [{"Image": hosting_setup.IMAGE, "ModelDataUrl": hosting.upload("packaged")}]
    arn = aws("sagemaker").create_model_package(
        ModelPackageGroupName=group.model_package_group_name, InferenceSpecification={"Containers": containers}
    )["ModelPackageArn"]
    package = ModelPackage.get(arn, session=sdk)
    assert (package.model_package_version, package.model_approval_status) == (1, "PendingManualApproval")
    package.update(model_approval_status="Approved")
    assert ModelPackage.get(arn, session=sdk).model_approval_status == "Approved"
    listed = ModelPackage.get_all(model_package_group_name=group.model_package_group_name, session=sdk)
    assert [item.model_package_arn for item in listed] == [arn]


def test_what_is_not_there_is_the_services_error(sdk: Session) -> None:
    for resource, name in ((Model, "model"), (Endpoint, "endpoint"), (TrainingJob, "training-job"), (ProcessingJob, "processing-job")):
        with pytest.raises(ClientError, match=f"Could not find {name}"):
            resource.get("never-made", session=sdk)


def test_a_deleted_model_is_gone(sdk: Session, hosting: hosting_setup.Hosting) -> None:
    container = ContainerDefinition(image=hosting_setup.IMAGE, model_data_url=hosting.upload("short-lived"))
    made = Model.create(unique("model"), primary_container=container, execution_role_arn=hosting.role_arn, session=sdk)
    assert made is not None
    made.delete()
    with pytest.raises(ClientError, match="Could not find model"):
        Model.get(made.model_name, session=sdk)
