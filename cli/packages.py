"""Model packages for another kind of instance: the same model, registered again with the image of today's ``hosting.instance_type``.

A package names its container image, and AWS builds one for CPUs and one for GPUs. A change within a kind needs nothing; a change from one
kind to the other needs packages with the other image (docs/operations.md, "Changes that take more than one deploy").
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.account import Account, NoAccount
from cli.console import FAILED, NO_ACCOUNT, WRONG_OPTIONS, AsJson, Profile, Stage, print_json, settings_of, stop
from lambdas.common.release import EMPTY_RELEASE, InvalidRelease, Release
from stacks.images import NoImage, inference_image

_KEPT = ("ModelPackageGroupName", "ModelPackageDescription", "ModelApprovalStatus", "ModelMetrics", "DriftCheckBaselines")
_OF_THE_IMAGE = ("ImageDigest", "ModelDataETag", "Framework", "FrameworkVersion", "NearestModelName", "IsCheckpoint")
"""What DescribeModelPackage says of a container beyond what it was made of, or of the image that it no longer has."""
_INSTANCE_TYPES = ("SupportedRealtimeInferenceInstanceTypes", "SupportedTransformInstanceTypes")


def with_image(package: Mapping[str, Any], image: str) -> dict[str, Any]:
    """The request that registers the same model with another image. Its token keeps a repeated call from making a second package.

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


def of_image(sagemaker: Any, arn: str, image: str) -> str:
    """ARN of the package with this image: the same package if it has the image already, else a new version in its group."""
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    if all(container["Image"] == image for container in package["InferenceSpecification"]["Containers"]):
        return arn
    created: str = sagemaker.create_model_package(**with_image(package, image))["ModelPackageArn"]
    return created


def released(account: Account) -> list[str]:
    """The packages of the release record, each once; none before the first release."""
    record = account.parameter("release")
    release = Release.parse(record) if record else EMPTY_RELEASE
    return list(dict.fromkeys((release.champion, release.challenger))) if release.exists else []


def reregister(
    packages: Annotated[list[str] | None, typer.Argument(help="ARNs of model packages; left out: those that are released")] = None,
    stage: Stage = "dev",
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Register model packages again with the image of the stage's `hosting.instance_type`. Then roll them out like any other.

    A package is registered once, however often this is called; --json prints old ARN -> new ARN.
    """
    settings = settings_of(stage)
    try:
        image = inference_image(settings.region, settings.hosting.instance_type)
    except NoImage as error:
        stop(str(error), WRONG_OPTIONS)
    account = Account(settings, profile)
    try:
        wanted = packages or released(account)
        found = {arn: of_image(account.client("sagemaker"), arn, image) for arn in wanted}
    except NoAccount as error:
        stop(str(error), NO_ACCOUNT)
    except BotoCoreError as error:
        stop(f"AWS gave no answer ({error}): set credentials, and AWS_ENDPOINT_URL only for the embedded AWS", NO_ACCOUNT)
    except (ClientError, InvalidRelease) as error:
        stop(f"{error}: `aws sagemaker list-model-packages` lists what can be named", FAILED)
    if not found:
        stop(f"nothing is released in stage {stage} yet: name the packages by their ARNs", FAILED)
    if as_json:
        print_json(found)
        return
    typer.echo(f"image: {image}")
    for old, new in found.items():
        typer.echo(f"{old} has it already" if old == new else f"{old} -> {new}")
