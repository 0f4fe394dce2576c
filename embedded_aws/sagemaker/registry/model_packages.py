"""Model package groups and their numbered versions."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from embedded_aws.core import sessions
from embedded_aws.core.api import Records, Request, Response, operation, validation_error
from embedded_aws.core.clock import now
from embedded_aws.eventbridge import service_events
from embedded_aws.sagemaker.jobs.job_files import public
from embedded_aws.sagemaker.listing import page
from embedded_aws.sagemaker.service_output import split_s3_uri

GROUPS = Records("model-package-group")
PACKAGES = Records("model-package")


@operation("sagemaker", "CreateModelPackageGroup")
def create_group(request: Request) -> Response:
    name = request["ModelPackageGroupName"]
    record = {
        **request, "ModelPackageGroupArn": GROUPS.arn(name), "ModelPackageGroupStatus": "Completed", "CreationTime": now(),
        "CreatedBy": {}, "_versions": 0,
    }  # fmt: skip
    GROUPS.add(name, record)
    return {"ModelPackageGroupArn": record["ModelPackageGroupArn"]}


def _group_name(name_or_arn: str) -> str:
    return name_or_arn.rsplit("/", 1)[-1]


@operation("sagemaker", "DescribeModelPackageGroup")
def describe_group(request: Request) -> Response:
    return public(GROUPS.need(_group_name(request["ModelPackageGroupName"])))


@operation("sagemaker", "DeleteModelPackageGroup")
def delete_group(request: Request) -> Response:
    name = _group_name(request["ModelPackageGroupName"])
    if any(record["ModelPackageGroupName"] == name for _, record in PACKAGES.items()):
        raise validation_error(f"Model package group {name} still has model packages: delete them first.")
    GROUPS.remove(name)
    return {}


@operation("sagemaker", "ListModelPackageGroups")
def list_groups(request: Request) -> Response:
    rows = [public(record) for _, record in GROUPS.items()]
    own = [] if request.get("CrossAccountFilterOption", "SameAccount") != "SameAccount" else ["CrossAccountFilterOption"]
    return page(rows, request, "ModelPackageGroupSummaryList", name="ModelPackageGroupName", own=own)


@operation("sagemaker", "CreateModelPackage")
def create_package(request: Request) -> Response:
    """A new version in its group; the artifact must exist. A repeated ClientToken returns the first call's package."""
    group = GROUPS.need(_group_name(request.get("ModelPackageGroupName", "")))
    token = request.get("ClientToken")
    with GROUPS.lock:
        for _, record in PACKAGES.items():
            if token and record.get("ClientToken") == token:
                return {"ModelPackageArn": record["ModelPackageArn"]}
        for container in request.get("InferenceSpecification", {}).get("Containers", []):
            _require_artifact(container.get("ModelDataUrl"))
        group["_versions"] += 1
        name = f"{group['ModelPackageGroupName']}/{group['_versions']}"
        record = {
            **request,
            "ModelPackageGroupName": group["ModelPackageGroupName"],
            "ModelPackageVersion": group["_versions"],
            "ModelPackageArn": PACKAGES.arn(name),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "ModelApprovalStatus": request.get("ModelApprovalStatus", "PendingManualApproval"),
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }
        PACKAGES.add(record["ModelPackageArn"], record)
    _emit(record)
    return {"ModelPackageArn": record["ModelPackageArn"]}


def _require_artifact(uri: str | None) -> None:
    if uri is None:
        raise validation_error("A container of the InferenceSpecification needs ModelDataUrl.")
    bucket, key = split_s3_uri(uri)
    try:
        sessions.root_session().client("s3").head_object(Bucket=bucket, Key=key)
    except ClientError:
        raise validation_error(f"Could not find model data at {uri}.") from None


def _arn(name: str) -> str:
    """The API takes ``<group>/<version>`` wherever it takes an ARN."""
    return name if name.startswith("arn:") else PACKAGES.arn(name)


def _package(name: str) -> dict[str, Any]:
    record = PACKAGES.find(_arn(name))
    if record is None:
        raise validation_error(f"ModelPackage {name} does not exist.")
    return record


def _emit(record: dict[str, Any]) -> None:
    keys = ("ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn", "ModelPackageStatus", "ModelApprovalStatus")
    detail = {key: record[key] for key in keys}
    service_events.emit("aws.sagemaker", "SageMaker Model Package State Change", detail, [record["ModelPackageArn"]])


@operation("sagemaker", "DescribeModelPackage")
def describe_package(request: Request) -> Response:
    record = public(_package(request["ModelPackageName"]))
    record.pop("ClientToken", None)
    return {"ModelPackageName": record["ModelPackageArn"].rsplit(":", 1)[-1].removeprefix("model-package/"), **record}


@operation("sagemaker", "UpdateModelPackage")
def update_package(request: Request) -> Response:
    record = _package(request["ModelPackageArn"])
    record |= {key: value for key, value in request.items() if key in ("ModelApprovalStatus", "ApprovalDescription")}
    kept = record.get("CustomerMetadataProperties", {}).items()
    removed = request.get("CustomerMetadataPropertiesToRemove", [])
    record["CustomerMetadataProperties"] = {
        **{key: value for key, value in kept if key not in removed}, **request.get("CustomerMetadataProperties", {})
    }  # fmt: skip
    record["LastModifiedTime"] = now()
    _emit(record)
    return {"ModelPackageArn": record["ModelPackageArn"]}


@operation("sagemaker", "DeleteModelPackage")
def delete_package(request: Request) -> Response:
    _package(request["ModelPackageName"])
    PACKAGES.remove(_arn(request["ModelPackageName"]))
    return {}


@operation("sagemaker", "ListModelPackages")
def list_packages(request: Request) -> Response:
    group, approval = request.get("ModelPackageGroupName"), request.get("ModelApprovalStatus")
    rows = []
    for _, record in PACKAGES.items():
        if (group and record["ModelPackageGroupName"] != _group_name(group)) or (approval and record["ModelApprovalStatus"] != approval):
            continue
        keys = (
            "ModelPackageGroupName",
            "ModelPackageVersion",
            "ModelPackageArn",
            "CreationTime",
            "ModelPackageStatus",
            "ModelApprovalStatus",
        )
        rows.append({key: record[key] for key in keys})
    rows.sort(key=lambda row: row["ModelPackageVersion"], reverse=request.get("SortOrder") == "Descending")
    own = ["ModelPackageGroupName", "ModelApprovalStatus"]
    if request.get("ModelPackageType", "Versioned") == "Versioned":
        own.append("ModelPackageType")
    return page(rows, request, "ModelPackageSummaryList", name="ModelPackageGroupName", own=own)
