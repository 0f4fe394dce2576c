"""The model registry of the embedded AWS: versions, idempotent creation, approval and its event, lists."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.jobs import EventQueue

ClientFactory = Callable[..., Any]
BUCKET = "registry-tests"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:2.6.0-transformers5.5.3-cpu-py312-ubuntu22.04"


@pytest.fixture(scope="module")
def artifact(aws: ClientFactory) -> str:
    aws("s3").create_bucket(Bucket=BUCKET)
    aws("s3").put_object(Bucket=BUCKET, Key="model.tar.gz", Body=b"weights")
    return f"s3://{BUCKET}/model.tar.gz"


@pytest.fixture
def group(aws: ClientFactory) -> str:
    name = f"group-{uuid.uuid4().hex[:8]}"
    aws("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    return name


@pytest.fixture
def create(aws: ClientFactory, artifact: str) -> Callable[..., str]:
    """``create(group, url=..., ...)`` -> the new package's ARN."""

    def make(group: str, url: str = artifact, **more: Any) -> str:
        specification = {
            "Containers": [{"Image": IMAGE, "ModelDataUrl": url}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        }
        asked = {"ModelPackageGroupName": group, "InferenceSpecification": specification, **more}
        return str(aws("sagemaker").create_model_package(**asked)["ModelPackageArn"])

    return make


def test_versions_are_numbered_within_their_group(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    arns = [create(group) for _ in range(3)]
    assert [arn.rsplit(":", 1)[-1] for arn in arns] == [f"model-package/{group}/{number}" for number in (1, 2, 3)]
    described = aws("sagemaker").describe_model_package(ModelPackageName=arns[1])
    assert (described["ModelPackageGroupName"], described["ModelPackageVersion"]) == (group, 2)
    assert (described["ModelPackageStatus"], described["ModelApprovalStatus"]) == ("Completed", "PendingManualApproval")
    assert described["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].endswith("model.tar.gz")


def test_a_version_may_be_named_by_group_and_number(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    arn = create(group)
    described = aws("sagemaker").describe_model_package(ModelPackageName=f"{group}/1")
    assert described["ModelPackageArn"] == arn
    assert aws("sagemaker").describe_model_package(ModelPackageName=described["ModelPackageName"])["ModelPackageArn"] == arn
    aws("sagemaker").delete_model_package(ModelPackageName=f"{group}/1")
    with pytest.raises(ClientError, match="does not exist"):
        aws("sagemaker").describe_model_package(ModelPackageName=arn)


def test_a_number_is_not_given_again(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    create(group)
    aws("sagemaker").delete_model_package(ModelPackageName=create(group))
    assert create(group).endswith("/3")


def test_a_group_may_be_named_by_its_arn(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    arn = aws("sagemaker").describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    assert create(arn).endswith(f"{group}/1")


def test_a_repeated_token_makes_no_second_version(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    token = uuid.uuid4().hex
    first = create(group, ClientToken=token, CustomerMetadataProperties={"training_job": "a"})
    assert create(group, ClientToken=token, CustomerMetadataProperties={"training_job": "a"}) == first
    assert create(group, ClientToken=uuid.uuid4().hex).endswith("/2")
    assert "ClientToken" not in aws("sagemaker").describe_model_package(ModelPackageName=first)


def test_approval_is_kept_and_told_to_rules(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {"ModelPackageGroupName": [group], "ModelApprovalStatus": ["Approved"]},
    }
    queue = EventQueue(aws, pattern)
    other, arn = create(group), create(group, CustomerMetadataProperties={"dataset": "d1"})
    aws("sagemaker").update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="by hand", CustomerMetadataProperties={"approved_by": "me"}
    )
    (event,) = queue.received(lambda found: len(found) >= 1)
    assert event["detail"]["ModelPackageArn"] == arn
    assert event["detail"]["ModelPackageVersion"] == 2
    assert event["resources"] == [arn]
    described = aws("sagemaker").describe_model_package(ModelPackageName=arn)
    assert (described["ModelApprovalStatus"], described["ApprovalDescription"]) == ("Approved", "by hand")
    assert described["CustomerMetadataProperties"] == {"dataset": "d1", "approved_by": "me"}
    assert aws("sagemaker").describe_model_package(ModelPackageName=other)["ModelApprovalStatus"] == "PendingManualApproval"


def test_metadata_can_be_taken_away(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    arn = create(group, CustomerMetadataProperties={"a": "1", "b": "2"})
    aws("sagemaker").update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["a"])
    assert aws("sagemaker").describe_model_package(ModelPackageName=arn)["CustomerMetadataProperties"] == {"b": "2"}


def test_versions_are_listed_oldest_first_unless_asked_otherwise(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    for status in ("Approved", "Rejected", "Approved"):
        create(group, ModelApprovalStatus=status)

    def listed(**choice: Any) -> list[int]:
        pages = aws("sagemaker").get_paginator("list_model_packages").paginate(ModelPackageGroupName=group, **choice)
        return [row["ModelPackageVersion"] for page in pages for row in page["ModelPackageSummaryList"]]

    assert listed() == [1, 2, 3]
    assert listed(SortOrder="Descending") == [3, 2, 1]
    assert listed(ModelApprovalStatus="Approved") == [1, 3]
    assert listed(PaginationConfig={"PageSize": 2}) == [1, 2, 3]
    assert listed(ModelApprovalStatus="Approved", SortOrder="Descending", MaxResults=1) == [3, 1]


def test_an_artifact_that_is_not_there_is_refused(group: str, create: Callable[..., str]) -> None:
    with pytest.raises(ClientError, match=r"Could not find model data at s3://registry-tests/nothing\.tar\.gz"):
        create(group, f"s3://{BUCKET}/nothing.tar.gz")
    assert create(group).endswith("/1"), "a refused version takes no number"


def test_groups_and_packages_that_are_not_there_are_named(aws: ClientFactory, create: Callable[..., str]) -> None:
    with pytest.raises(ClientError, match=r"Could not find model-package-group .*no-such-group"):
        create("no-such-group")
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model-package/no-such-group/1"
    for operation, member in (("describe", "ModelPackageName"), ("update", "ModelPackageArn"), ("delete", "ModelPackageName")):
        with pytest.raises(ClientError, match="does not exist"):
            getattr(aws("sagemaker"), f"{operation}_model_package")(**{member: arn})


def test_a_group_with_versions_cannot_be_deleted(aws: ClientFactory, group: str, create: Callable[..., str]) -> None:
    arn = create(group)
    with pytest.raises(ClientError, match="still has model packages"):
        aws("sagemaker").delete_model_package_group(ModelPackageGroupName=group)
    aws("sagemaker").delete_model_package(ModelPackageName=arn)
    aws("sagemaker").delete_model_package_group(ModelPackageGroupName=group)
    with pytest.raises(ClientError, match="Could not find"):
        aws("sagemaker").describe_model_package_group(ModelPackageGroupName=group)


def test_groups_are_listed(aws: ClientFactory, group: str) -> None:
    pages = aws("sagemaker").get_paginator("list_model_package_groups").paginate()
    assert group in [row["ModelPackageGroupName"] for page in pages for row in page["ModelPackageGroupSummaryList"]]
