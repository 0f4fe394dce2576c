"""List operations of SageMaker: filters by time, name and status, order, pages that go on, tokens that were never given."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.fixtures import ClientFactory, RoleFactory
from embedded_aws.testing.jobs import Jobs

MODEL = ServiceModel(Loader().load_service_model("sagemaker", "service-2"))
LISTS = {
    "ListEndpointConfigs": "EndpointConfigs",
    "ListEndpoints": "Endpoints",
    "ListFlowDefinitions": "FlowDefinitionSummaries",
    "ListHumanTaskUis": "HumanTaskUiSummaries",
    "ListHyperParameterTuningJobs": "HyperParameterTuningJobSummaries",
    "ListLabelingJobs": "LabelingJobSummaryList",
    "ListModelPackageGroups": "ModelPackageGroupSummaryList",
    "ListModelPackages": "ModelPackageSummaryList",
    "ListModels": "Models",
    "ListProcessingJobs": "ProcessingJobSummaries",
    "ListTrainingJobs": "TrainingJobSummaries",
    "ListWorkforces": "Workforces",
    "ListWorkteams": "Workteams",
}
PAST, FUTURE = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def method(aws: ClientFactory, operation: str) -> Callable[..., dict[str, Any]]:
    found: Callable[..., dict[str, Any]] = getattr(aws("sagemaker"), xform_name(operation))
    return found


@pytest.fixture(scope="module")
def groups(aws: ClientFactory) -> list[str]:
    """Five groups, in the order of their creation; names are not in that order."""
    stem = f"listed-{uuid.uuid4().hex[:6]}"
    names = [f"{stem}-{letter}" for letter in "cabed"]
    for name in names:
        aws("sagemaker").create_model_package_group(ModelPackageGroupName=name)
        time.sleep(0.01)
    return names


@pytest.fixture(scope="module")
def jobs(aws: ClientFactory, make_role: RoleFactory) -> Jobs:
    return job_setup.prepare(aws, make_role, "list-tests")


def listed(aws: ClientFactory, groups: list[str], **request: Any) -> list[str]:
    stem = groups[0].rsplit("-", 1)[0]
    rows = aws("sagemaker").list_model_package_groups(**{"NameContains": stem, **request})["ModelPackageGroupSummaryList"]
    return [row["ModelPackageGroupName"].rsplit("-", 1)[-1] for row in rows]


def test_order_and_names(aws: ClientFactory, groups: list[str]) -> None:
    assert "".join(listed(aws, groups)) == "cabed"
    assert "".join(listed(aws, groups, SortOrder="Descending")) == "debac"
    assert "".join(listed(aws, groups, SortBy="Name")) == "abcde"
    assert "".join(listed(aws, groups, NameContains=f"{groups[0][:-2].upper()}-B")) == "b"


def test_a_list_between_two_times(aws: ClientFactory, groups: list[str]) -> None:
    made = {name: aws("sagemaker").describe_model_package_group(ModelPackageGroupName=name)["CreationTime"] for name in groups}
    # Less than the 10 ms between two groups, and more than a client cuts off a time stamp.
    margin = dt.timedelta(milliseconds=3)
    between = {"CreationTimeAfter": made[groups[0]] + margin, "CreationTimeBefore": made[groups[3]] - margin}
    assert "".join(listed(aws, groups, **between)) == "ab"


def test_pages_go_on_and_another_lists_token_is_refused(aws: ClientFactory, groups: list[str]) -> None:
    stem = groups[0].rsplit("-", 1)[0]
    client = aws("sagemaker")
    pages = client.get_paginator("list_model_package_groups").paginate(NameContains=stem, PaginationConfig={"PageSize": 2})
    found = [[row["ModelPackageGroupName"] for row in page["ModelPackageGroupSummaryList"]] for page in pages]
    assert found == [groups[:2], groups[2:4], groups[4:]]
    token = client.list_model_package_groups(NameContains=stem, MaxResults=2)["NextToken"]
    assert client.list_model_package_groups(NameContains=stem, MaxResults=3, NextToken=token)["ModelPackageGroupSummaryList"]
    with pytest.raises(ClientError, match=r"ValidationException.*other filters"):
        client.list_model_package_groups(MaxResults=2, NextToken=token)


def test_jobs_by_status_and_change(aws: ClientFactory, jobs: Jobs) -> None:
    good, bad = (jobs.run("training", jobs.training(script)) for script in ("print('score=1')", "raise SystemExit(1)"))
    stem = "job-"

    def names(**request: Any) -> list[str]:
        rows = aws("sagemaker").list_training_jobs(NameContains=stem, MaxResults=100, **request)["TrainingJobSummaries"]
        return [row["TrainingJobName"] for row in rows if row["TrainingJobName"] in (good["TrainingJobName"], bad["TrainingJobName"])]

    assert names(StatusEquals="Failed") == [bad["TrainingJobName"]]
    assert names(SortBy="Status", SortOrder="Descending") == [bad["TrainingJobName"], good["TrainingJobName"]]
    # A client may cut what lies below a second off a time stamp.
    first, last, second = good["LastModifiedTime"], bad["LastModifiedTime"], dt.timedelta(seconds=1)
    assert set(names(LastModifiedTimeAfter=first - second)) == {good["TrainingJobName"], bad["TrainingJobName"]}
    assert names(LastModifiedTimeAfter=last + second) == names(LastModifiedTimeBefore=first - second) == []
    with pytest.raises(ClientError, match="WarmPoolStatusEquals of this list is not emulated"):
        aws("sagemaker").list_training_jobs(WarmPoolStatusEquals="InUse")


@pytest.mark.parametrize("operation", sorted(LISTS))
def test_every_list_refuses_a_token_that_it_never_gave(aws: ClientFactory, operation: str) -> None:
    with pytest.raises(ClientError, match=r"ValidationException.*Invalid NextToken"):
        method(aws, operation)(NextToken="bm9uc2Vuc2U=")


@pytest.mark.parametrize("operation", sorted(LISTS))
def test_every_list_takes_the_filters_of_its_model(aws: ClientFactory, groups: list[str], operation: str) -> None:
    members = MODEL.operation_model(operation).input_shape.members  # type: ignore[union-attr]
    everything = {
        f"{kind}{side}": at for kind in ("CreationTime", "LastModifiedTime") for side, at in (("After", PAST), ("Before", FUTURE))
    }
    nothing = [
        {"CreationTimeAfter": FUTURE},
        {"CreationTimeBefore": PAST},
        {"LastModifiedTimeAfter": FUTURE},
        {"NameContains": "no-such-name"},
    ]
    rows = method(aws, operation)(MaxResults=100)[LISTS[operation]]
    assert len(
        method(aws, operation)(MaxResults=100, **{key: at for key, at in everything.items() if key in members})[LISTS[operation]]
    ) == len(rows)
    for request in nothing:
        if request.keys() <= members.keys():
            assert method(aws, operation)(**request)[LISTS[operation]] == []
    for order in members["SortBy"].enum if "SortBy" in members else []:  # type: ignore[attr-defined]
        assert len(method(aws, operation)(MaxResults=100, SortBy=order, SortOrder="Descending")[LISTS[operation]]) == len(rows)


def test_no_list_operation_is_forgotten(aws: ClientFactory) -> None:
    """What is not in ``LISTS`` is not part of the embedded AWS, has a test of its own, or lists what one resource has."""
    of_one_resource = {"ListTags", "ListTrainingJobsForHyperParameterTuningJob"}
    for operation in MODEL.operation_names:
        required = MODEL.operation_model(operation).input_shape
        if (
            not operation.startswith("List")
            or operation in LISTS
            or operation in of_one_resource
            or (required and required.required_members)
        ):
            continue
        with pytest.raises(ClientError) as refused:
            method(aws, operation)()
        assert operation in str(refused.value)
