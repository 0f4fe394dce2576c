"""Model packages for another kind of instance: the same model, registered again with the image of today's ``hosting.instance_type``.

A package names its container image, and AWS builds one for CPUs and one for GPUs. A change within a kind needs nothing; a change from one
kind to the other needs packages with the other image (docs/operations.md, "Changes that take more than one deploy").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.common.release import InvalidRelease, Release
from stacks.images import NoImage, inference_image
from stacks.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[1]
FAILED, WRONG_OPTIONS, OUT_OF_REACH = 1, 2, 4
"""Exit codes."""
_KEPT = ("ModelPackageGroupName", "ModelPackageDescription", "ModelApprovalStatus", "ModelMetrics", "DriftCheckBaselines")
_OF_THE_IMAGE = ("ImageDigest", "ModelDataETag", "Framework", "FrameworkVersion", "NearestModelName", "IsCheckpoint")
"""What DescribeModelPackage says of a container beyond what it was made of, or of the image that it no longer has."""
_INSTANCE_TYPES = ("SupportedRealtimeInferenceInstanceTypes", "SupportedTransformInstanceTypes")


def with_image(package: Mapping[str, Any], image: str) -> dict[str, Any]:
    """CreateModelPackage of the same model with another image. A repeated call makes no second package, by its token.

    Args:
        package: DescribeModelPackage's answer.
        image: URI of the container image.
    """
    specification = package["InferenceSpecification"]
    containers = [
        {**{key: value for key, value in container.items() if key not in _OF_THE_IMAGE}, "Image": image}
        for container in specification["Containers"]
    ]
    arn = package["ModelPackageArn"]
    return {
        **{key: package[key] for key in _KEPT if key in package},
        "ClientToken": hashlib.sha256(f"{arn} {image}".encode()).hexdigest()[:36],
        "InferenceSpecification": {
            **{key: value for key, value in specification.items() if key not in _INSTANCE_TYPES},
            "Containers": containers,
        },
        "CustomerMetadataProperties": {**package.get("CustomerMetadataProperties", {}), "reregistered_from": arn},
    }


def reregister(sagemaker: Any, arn: str, image: str) -> str:
    """ARN of the package with this image: itself when it has it already, else a new version in its group."""
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    if all(container["Image"] == image for container in package["InferenceSpecification"]["Containers"]):
        return arn
    created: str = sagemaker.create_model_package(**with_image(package, image))["ModelPackageArn"]
    return created


def released(ssm: Any, settings: Settings) -> list[str]:
    """The packages of the release record, each once; none before the first release."""
    name = f"/{settings.name}/{settings.stage}/release"
    release = Release.parse(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    return list(dict.fromkeys((release.champion, release.challenger))) if release.exists else []


def command(
    packages: Annotated[list[str] | None, typer.Argument(help="ARNs of model packages; left out: those that are released")] = None,
    stage: Annotated[str, typer.Option(help="whose settings name the instance type")] = "dev",
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object: old ARN -> new ARN")] = False,
) -> None:
    """Register model packages again with the image of the stage's ``hosting.instance_type``. Then roll them out like any other."""
    try:
        settings = load_settings(ROOT / "settings" / f"{stage}.yaml")
        image = inference_image(settings.region, settings.hosting.instance_type)
    except (SettingsError, NoImage) as error:
        raise _ended(str(error), WRONG_OPTIONS) from None
    session = boto3.Session(region_name=settings.region)
    try:
        wanted = packages or released(session.client("ssm"), settings)
        found = {arn: reregister(session.client("sagemaker"), arn, image) for arn in wanted}
    except BotoCoreError as error:
        raise _ended(f"AWS gave no answer ({error}): set credentials and, for the embedded AWS, AWS_ENDPOINT_URL", OUT_OF_REACH) from None
    except (ClientError, InvalidRelease) as error:
        raise _ended(f"{error}: `aws sagemaker list-model-packages` lists what can be named", FAILED) from None
    if not found:
        raise _ended(f"nothing is released in stage {stage} yet: name the packages by their ARNs", FAILED)
    if as_json:
        typer.echo(json.dumps(found))
        return
    typer.echo(f"image: {image}")
    for old, new in found.items():
        typer.echo(f"{old} has it already" if old == new else f"{old} -> {new}")


def _ended(message: str, code: int) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(code)


if __name__ == "__main__":
    typer.run(command)
