"""Models, endpoints and invocations of the embedded AWS, against real processes."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing import hosting as support


@pytest.fixture(scope="module")
def hosting(aws: Any, make_role: Any) -> support.Hosting:
    return support.prepare(aws, make_role, "hosting-tests")


@pytest.fixture(scope="module")
def endpoint(hosting: support.Hosting) -> str:
    """Two variants, weights 3 to 1, one instance each; tests that change an endpoint make their own."""
    variants = [
        {"name": "champion", "model": hosting.model("alpha", SETTING="from-model"), "weight": 3.0},
        {"name": "challenger", "model": hosting.model("beta"), "weight": 1.0},
    ]
    return hosting.endpoint(hosting.config(variants))


def _error(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_weights_split_the_traffic(hosting: support.Hosting, endpoint: str) -> None:
    answers = Counter(hosting.invoke(endpoint)[1]["InvokedProductionVariant"] for _ in range(200))
    # 150 expected of 200; six standard deviations (6.1 each) either side.
    assert 113 <= answers["champion"] <= 187
    assert answers["champion"] + answers["challenger"] == 200


def test_target_variant_overrides_the_weights(hosting: support.Hosting, endpoint: str) -> None:
    answers = [hosting.invoke(endpoint, TargetVariant="challenger") for _ in range(10)]
    assert {prediction["label"] for prediction, _ in answers} == {"beta"}
    assert {response["InvokedProductionVariant"] for _, response in answers} == {"challenger"}


def test_an_answer_keeps_the_containers_content_type(hosting: support.Hosting, endpoint: str) -> None:
    assert hosting.invoke(endpoint)[1]["ContentType"] == "application/json"


def test_the_models_environment_reaches_the_container(hosting: support.Hosting, endpoint: str) -> None:
    assert hosting.invoke(endpoint, TargetVariant="champion")[0]["setting"] == "from-model"


def test_a_handler_exception_is_a_model_error_with_the_containers_answer(hosting: support.Hosting, endpoint: str) -> None:
    with pytest.raises(ClientError) as caught:
        hosting.invoke(endpoint, "break", TargetVariant="champion")
    response: Any = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 400
    assert "this input is broken" in response["OriginalMessage"]


def test_metrics_count_invocations_and_client_errors_of_the_variant(hosting: support.Hosting, aws: Any) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("counted"), "count": 2}]))
    for text in ("one", "two", "break"):
        try:
            hosting.invoke(name, text)
        except ClientError:
            assert text == "break"

    def total(metric: str, statistic: str = "Sum") -> float:
        now = time.time()
        points = aws("cloudwatch").get_metric_statistics(
            Namespace="AWS/SageMaker", MetricName=metric, StartTime=now - 600, EndTime=now + 60, Period=3600, Statistics=[statistic],
            Dimensions=[{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "champion"}],
        )["Datapoints"]  # fmt: skip
        return float(sum(point[statistic] for point in points))

    assert total("Invocations") == 3
    assert total("InvocationsPerInstance") == pytest.approx(1.5)
    assert (total("Invocation4XXErrors"), total("Invocation5XXErrors"), total("InvocationModelErrors")) == (1, 0, 1)
    assert total("ModelLatency", "Maximum") > 100  # microseconds: a local HTTP call takes more than 0.1 ms


@pytest.mark.parametrize(
    ("name", "variant", "expected"),
    [("no-such-endpoint", None, "Endpoint no-such-endpoint of account"), (None, "nobody", "Variant nobody not found")],
)
def test_unknown_targets_are_validation_errors(
    hosting: support.Hosting, endpoint: str, name: str | None, variant: str | None, expected: str
) -> None:
    with pytest.raises(ClientError) as caught:
        hosting.invoke(name or endpoint, **({"TargetVariant": variant} if variant else {}))
    code, message = _error(caught)
    assert code == "ValidationError"
    assert expected in message


def test_a_body_above_six_megabytes_is_refused(hosting: support.Hosting, endpoint: str) -> None:
    with pytest.raises(ClientError) as caught:
        hosting.invoke(endpoint, "x" * (6 * 1024 * 1024))
    assert _error(caught)[0] == "ValidationError"


def test_round_robin_reaches_every_instance(hosting: support.Hosting) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("pair"), "count": 2}]))
    assert len(hosting.pids(name, "champion", requests=4)) == 2


def test_a_missing_artifact_fails_create_model(hosting: support.Hosting, aws: Any) -> None:
    url = f"s3://{hosting.bucket}/nowhere/model.tar.gz"
    with pytest.raises(ClientError) as caught:
        aws("sagemaker").create_model(
            ModelName="missing", PrimaryContainer={"Image": support.IMAGE, "ModelDataUrl": url}, ExecutionRoleArn=hosting.role_arn
        )
    assert _error(caught) == ("ValidationException", f"Could not find model data at {url}.")


def test_an_artifact_that_the_role_may_not_read_fails_create_model(hosting: support.Hosting, aws: Any, make_role: Any) -> None:
    role = make_role("hosting-blind-role", [])
    with pytest.raises(ClientError) as caught:
        aws("sagemaker").create_model(
            ModelName="unreadable",
            PrimaryContainer={"Image": support.IMAGE, "ModelDataUrl": hosting.upload("locked")},
            ExecutionRoleArn=role,
        )
    code, message = _error(caught)
    assert code == "ValidationException"
    assert message.startswith("Could not access model data at s3://")
    assert role in message


@pytest.fixture
def package(hosting: support.Hosting, aws: Any) -> str:
    """ARN of a package that waits for approval."""
    group = f"group-{uuid.uuid4().hex[:8]}"
    aws("sagemaker").create_model_package_group(ModelPackageGroupName=group)
    container = {"Image": support.IMAGE, "ModelDataUrl": hosting.upload("packaged"), "Environment": {"SETTING": "from-package"}}
    arn: str = aws("sagemaker").create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [container], "SupportedContentTypes": ["application/json"], "SupportedResponseMIMETypes": ["application/json"],
        },
    )["ModelPackageArn"]  # fmt: skip
    return arn


def test_a_model_package_brings_artifact_and_environment_once_approved(hosting: support.Hosting, aws: Any, package: str) -> None:
    name = f"packaged-{uuid.uuid4().hex[:8]}"
    model = {"ModelName": name, "PrimaryContainer": {"ModelPackageName": package}, "ExecutionRoleArn": hosting.role_arn}
    with pytest.raises(ClientError, match="PendingManualApproval"):
        aws("sagemaker").create_model(**model)
    aws("sagemaker").update_model_package(ModelPackageArn=package, ModelApprovalStatus="Approved")
    aws("sagemaker").create_model(**model)
    assert aws("sagemaker").describe_model(ModelName=name)["PrimaryContainer"]["ModelPackageName"] == package
    endpoint = hosting.endpoint(hosting.config([{"name": "champion", "model": name}]))
    prediction, _ = hosting.invoke(endpoint)
    assert (prediction["label"], prediction["setting"]) == ("packaged", "from-package")


def test_tags_live_as_long_as_their_resource(hosting: support.Hosting, aws: Any) -> None:
    variants = [{"name": "champion", "model": hosting.model("tagged")}]
    name = hosting.config(variants, Tags=[{"Key": "team", "Value": "reviews"}])
    arn = aws("sagemaker").describe_endpoint_config(EndpointConfigName=name)["EndpointConfigArn"]
    assert aws("sagemaker").list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "reviews"}]
    aws("sagemaker").delete_endpoint_config(EndpointConfigName=name)
    assert aws("sagemaker").list_tags(ResourceArn=arn)["Tags"] == []


def test_endpoint_configs_refuse_what_hosting_refuses(hosting: support.Hosting, aws: Any) -> None:
    model = hosting.model("config")
    variant = {"name": "champion", "model": model}
    with pytest.raises(ClientError, match="must be unique"):
        hosting.config([variant, variant])
    with pytest.raises(ClientError, match='Could not find model "'):
        hosting.config([{"name": "champion", "model": "no-such-model"}])
    with pytest.raises(ClientError, match="ManagedInstanceScaling is only supported for inference component endpoints"):
        aws("sagemaker").create_endpoint_config(
            EndpointConfigName="scaled",
            ProductionVariants=[
                {
                    "VariantName": "champion", "ModelName": model, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1,
                    "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 2},
                }
            ],
        )  # fmt: skip


def test_a_model_that_does_not_load_fails_the_endpoint_with_its_reason(hosting: support.Hosting) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("dead", REFUSE_TO_START="1")}]))
    described = hosting.describe(name)
    assert described["EndpointStatus"] == "Failed"
    assert "production variant champion did not pass the ping health check" in described["FailureReason"]


def test_a_killed_process_is_started_again(hosting: support.Hosting, wait_until: Callable[..., Any]) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("mortal")}]))
    killed = hosting.invoke(name)[0]["pid"]
    os.kill(killed, signal.SIGKILL)

    def answers() -> int | None:
        try:
            return int(hosting.invoke(name)[0]["pid"])
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            return None

    assert wait_until(answers) != killed


def test_delete_leaves_no_process_and_no_endpoint(hosting: support.Hosting, aws: Any, wait_until: Callable[..., Any]) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("gone"), "count": 2}]))
    pids = hosting.pids(name, "champion", requests=4)
    assert all(_is_running(pid) for pid in pids)
    aws("sagemaker").delete_endpoint(EndpointName=name)

    def is_gone() -> bool:
        try:
            hosting.describe(name)
        except ClientError as error:
            assert "Could not find endpoint" in str(error)
            return True
        return False

    wait_until(is_gone)
    assert not any(_is_running(pid) for pid in pids)


def test_state_changes_send_events_in_upper_case(hosting: support.Hosting, aws: Any, wait_until: Callable[..., Any]) -> None:
    queue = aws("sqs").create_queue(QueueName="endpoint-events")["QueueUrl"]
    queue_arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}
    aws("events").put_rule(Name="endpoint-events", EventPattern=json.dumps(pattern))
    aws("events").put_targets(Rule="endpoint-events", Targets=[{"Id": "queue", "Arn": queue_arn}])
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("loud")}]))
    seen: list[str] = []

    def in_service() -> bool:
        for message in aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            detail = json.loads(message["Body"])["detail"]
            if detail["EndpointName"] == name:
                seen.append(detail["EndpointStatus"])
            aws("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return "IN_SERVICE" in seen

    wait_until(in_service)
    assert sorted(seen) == ["CREATING", "IN_SERVICE"]
    aws("events").remove_targets(Rule="endpoint-events", Ids=["queue"])


def _captured(hosting: support.Hosting, endpoint: str) -> list[tuple[str, dict[str, Any]]]:
    s3 = hosting.aws("s3")
    listed = s3.list_objects_v2(Bucket=hosting.bucket, Prefix=f"capture/{endpoint}/").get("Contents", [])
    rows = []
    for entry in listed:
        text = s3.get_object(Bucket=hosting.bucket, Key=entry["Key"])["Body"].read().decode()
        rows += [(entry["Key"], json.loads(line)) for line in text.split("\n") if line]
    return rows


def _capture_config(hosting: support.Hosting, **more: Any) -> dict[str, Any]:
    return {
        "EnableCapture": True, "InitialSamplingPercentage": 100, "DestinationS3Uri": f"s3://{hosting.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}], **more,
    }  # fmt: skip


def test_a_capture_line_has_the_documented_form(hosting: support.Hosting, aws: Any, wait_until: Callable[..., Any]) -> None:
    json_types = {"CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]}}
    config = hosting.config(
        [{"name": "champion", "model": hosting.model("seen")}], DataCaptureConfig=_capture_config(hosting, **json_types)
    )
    name = hosting.endpoint(config)
    hosting.invoke(name, "grüße", InferenceId="caller-1", CustomAttributes="trace-7")
    ((key, line),) = wait_until(lambda: _captured(hosting, name))
    assert json.loads(line["captureData"]["endpointInput"].pop("data")) == {"inputs": "grüße"}
    assert json.loads(line["captureData"]["endpointOutput"].pop("data"))[0]["label"] == "seen"
    event_id, inference_time = line["eventMetadata"].pop("eventId"), line["eventMetadata"].pop("inferenceTime")
    assert len(event_id) == 36
    assert line == {
        "captureData": {
            "endpointInput": {"observedContentType": "application/json", "mode": "INPUT", "encoding": "JSON"},
            "endpointOutput": {"observedContentType": "application/json", "mode": "OUTPUT", "encoding": "JSON"},
        },
        "eventMetadata": {"inferenceId": "caller-1", "customAttributes": ["trace-7"]},
        "eventVersion": "0",
    }
    hour = time.strftime("%Y/%m/%d/%H", time.strptime(inference_time, "%Y-%m-%dT%H:%M:%SZ"))
    assert key.startswith(f"capture/{name}/champion/{hour}/")
    assert key.endswith(".jsonl")


def test_without_a_content_type_header_capture_is_base64(hosting: support.Hosting, aws: Any, wait_until: Callable[..., Any]) -> None:
    config = hosting.config([{"name": "champion", "model": hosting.model("packed")}], DataCaptureConfig=_capture_config(hosting))
    name = hosting.endpoint(config)
    hosting.invoke(name, "hidden")
    ((_, line),) = wait_until(lambda: _captured(hosting, name))
    side = line["captureData"]["endpointInput"]
    assert side["encoding"] == "BASE64"
    assert json.loads(base64.b64decode(side["data"])) == {"inputs": "hidden"}


def test_delete_writes_every_captured_line(hosting: support.Hosting, aws: Any, wait_until: Callable[..., Any]) -> None:
    config = hosting.config([{"name": "champion", "model": hosting.model("flushed")}], DataCaptureConfig=_capture_config(hosting))
    name = hosting.endpoint(config)
    for index in range(30):
        hosting.invoke(name, f"text {index}")
    aws("sagemaker").delete_endpoint(EndpointName=name)
    wait_until(lambda: name not in [row["EndpointName"] for row in aws("sagemaker").list_endpoints(MaxResults=100)["Endpoints"]])
    assert len(_captured(hosting, name)) == 30


def test_a_sampling_of_zero_captures_nothing(hosting: support.Hosting, aws: Any, wait_until: Callable[..., Any]) -> None:
    config = hosting.config(
        [{"name": "champion", "model": hosting.model("unseen")}],
        DataCaptureConfig={**_capture_config(hosting), "InitialSamplingPercentage": 0},
    )
    name = hosting.endpoint(config)
    hosting.invoke(name)
    aws("sagemaker").delete_endpoint(EndpointName=name)
    wait_until(lambda: name not in [row["EndpointName"] for row in aws("sagemaker").list_endpoints(MaxResults=100)["Endpoints"]])
    assert _captured(hosting, name) == []


def test_an_update_writes_the_lines_that_the_old_fleet_captured(hosting: support.Hosting, aws: Any, wait_until: Callable[..., Any]) -> None:
    first = hosting.config([{"name": "champion", "model": hosting.model("before")}], DataCaptureConfig=_capture_config(hosting))
    name = hosting.endpoint(first)
    for index in range(5):
        hosting.invoke(name, f"text {index}")
    second = hosting.config([{"name": "champion", "model": hosting.model("after")}])
    aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=second)
    hosting.settled(name)
    assert len(_captured(hosting, name)) == 5
    assert "DataCaptureConfig" not in hosting.describe(name)


def test_captured_objects_are_encrypted_with_the_given_key(hosting: support.Hosting, aws: Any, wait_until: Callable[..., Any]) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    capture = _capture_config(hosting, KmsKeyId=key)
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("sealed")}], DataCaptureConfig=capture))
    hosting.invoke(name)
    ((path, _),) = wait_until(lambda: _captured(hosting, name))
    head = aws("s3").head_object(Bucket=hosting.bucket, Key=path)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_an_execution_role_that_may_not_write_captures_nothing_and_still_serves(
    hosting: support.Hosting, make_role: Any, emulator: Any, wait_until: Callable[..., Any]
) -> None:
    read_only = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{hosting.bucket}/*"}
    reader = support.Hosting(hosting.aws, make_role("hosting-reader-role", [read_only]), hosting.bucket)
    config = reader.config([{"name": "champion", "model": reader.model("mute")}], DataCaptureConfig=_capture_config(hosting))
    name = reader.endpoint(config)
    assert reader.invoke(name)[0]["label"] == "mute"
    refusal = f"captured data of {name}/champion was not written"
    lines = wait_until(lambda: [line for line in emulator.log_file.read_text().splitlines() if refusal in line])
    assert "s3:PutObject" in lines[0]
    assert _captured(hosting, name) == []
