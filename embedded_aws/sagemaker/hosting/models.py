"""Models: an image, an artifact and an execution role, given directly or by a model package."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded_aws.core import api
from embedded_aws.core.api import Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.hosting import artifacts, hosting_tags
from embedded_aws.sagemaker.listing import page

MODELS = Records("model")


@dataclass(frozen=True)
class ServedModel:
    """What an instance needs to run a model: its unpacked artifact, environment, role and image."""

    name: str
    folder: Path
    environment: dict[str, str]
    role_arn: str
    image: str
    isolated: bool


@operation("sagemaker", "CreateModel")
def create_model(request: Request) -> Response:
    """Resolves a model package and checks its artifact, so a missing artifact fails here and not at the endpoint."""
    if "PrimaryContainer" in request and "Containers" in request:
        raise validation_error("Both PrimaryContainer and Containers are given: give exactly one of them.")
    containers = request.get("Containers") or ([request["PrimaryContainer"]] if request.get("PrimaryContainer") else [])
    if not containers:
        raise validation_error("No containers are given: PrimaryContainer or Containers is required.")
    if len(containers) > 1:
        raise validation_error("The embedded AWS runs models of one container: inference pipelines are not part of it.")
    role_arn = request.get("ExecutionRoleArn")
    if not role_arn:
        raise validation_error("ExecutionRoleArn is required to host a model.")
    name = request["ModelName"]
    if MODELS.find(name) is not None:
        raise validation_error(f'Cannot create already existing model "{MODELS.arn(name)}".')
    resolved = _resolve(containers[0])
    artifacts.check(resolved["ModelDataUrl"], role_arn)
    described = {**request, "ModelArn": MODELS.arn(name), "CreationTime": dt.datetime.now(dt.UTC)}
    described.setdefault("EnableNetworkIsolation", False)
    MODELS.add(name, {"Described": described, "Resolved": resolved})
    hosting_tags.attach(MODELS.arn(name), request)
    return {"ModelArn": MODELS.arn(name)}


def _resolve(container: dict[str, Any]) -> dict[str, Any]:
    """Image, ModelDataUrl and Environment of a container; those of a model package are overlaid by the container's environment."""
    package_name = container.get("ModelPackageName")
    base: dict[str, Any] = {}
    if package_name:
        package = api.call("sagemaker", "DescribeModelPackage", {"ModelPackageName": package_name})
        if package.get("ModelPackageStatus", "Completed") != "Completed":
            raise validation_error(f"Model package {package_name} has status {package['ModelPackageStatus']}: it must be Completed.")
        approval = package.get("ModelApprovalStatus", "Approved")
        if approval != "Approved":
            raise validation_error(
                f"Model package {package_name} is not approved (ModelApprovalStatus is {approval}): approve it to deploy it."
            )
        base = package["InferenceSpecification"]["Containers"][0]
    source = container.get("ModelDataSource") or base.get("ModelDataSource") or {}
    url = container.get("ModelDataUrl") or base.get("ModelDataUrl") or source.get("S3DataSource", {}).get("S3Uri")
    image = container.get("Image") or base.get("Image")
    if not image:
        raise validation_error("A container needs an Image or a ModelPackageName.")
    if not url:
        raise validation_error("The embedded AWS serves models with an artifact: give ModelDataUrl.")
    environment = {**base.get("Environment", {}), **container.get("Environment", {})}
    return {"Image": image, "ModelDataUrl": url, "Environment": environment}


@operation("sagemaker", "DescribeModel")
def describe_model(request: Request) -> Response:
    described = dict(MODELS.need(request["ModelName"])["Described"])
    described.pop("Tags", None)
    return described


@operation("sagemaker", "ListModels")
def list_models(request: Request) -> Response:
    rows = [record["Described"] for _, record in MODELS.items()]
    summaries = [{key: row[key] for key in ("ModelName", "ModelArn", "CreationTime")} for row in rows]
    return page(summaries, request, "Models", name="ModelName", sort_order="Descending")


@operation("sagemaker", "DeleteModel")
def delete_model(request: Request) -> Response:
    MODELS.remove(request["ModelName"])
    hosting_tags.detach(MODELS.arn(request["ModelName"]))
    return {}


def served(name: str) -> ServedModel:
    """Download a model's artifact, if no other instance did, and say how to run it.

    Raises:
        ApiError: the model is gone, or its role can no longer read the artifact.
    """
    record = MODELS.need(name)
    described, resolved = record["Described"], record["Resolved"]
    role_arn = described["ExecutionRoleArn"]
    folder = artifacts.unpacked(resolved["ModelDataUrl"], role_arn)
    return ServedModel(name, folder, dict(resolved["Environment"]), role_arn, resolved["Image"], described["EnableNetworkIsolation"])
