"""Container images and instance types: what AWS builds, and what it refuses to combine. No network, no credentials.

Training and evaluation use the Hugging Face training image, which AWS builds for GPUs only; inference has one for each.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stacks.settings.instance_types import processor

TRANSFORMERS_TRAINING = ("5.3.0", "pytorch2.9.0")
TRANSFORMERS_INFERENCE = ("5.5.3", "pytorch2.6.0")
PYTHON = "py312"
# A d behind the generation (m5d, g4dn, p4d, r6id) is local NVMe storage; these families have it without saying so.
_LOCAL_STORAGE = re.compile(r"ml\.([a-z]+\d[a-z]*d[a-z]*|g[567]e?|p5[a-z]*|p6-[a-z0-9]+|p6e-[a-z0-9]+|trn[12]n?)\.")


class NoImage(ValueError):
    """AWS builds no image for the instance type; the text names the setting's value and what is allowed."""


def training_image(region: str, instance_type: str) -> str:
    """Image of training and evaluation jobs. Raises NoImage for a CPU type."""
    return _retrieve(region, instance_type, "training", TRANSFORMERS_TRAINING)


def inference_image(region: str, instance_type: str) -> str:
    """Image of an endpoint's models. Raises NoImage when none fits."""
    return _retrieve(region, instance_type, "inference", TRANSFORMERS_INFERENCE)


def repository_arn(image: str, region: str) -> str:
    """The ECR repository of an image URI ``<account>.dkr.ecr.<region>.amazonaws.com/<name>:<tag>``."""
    registry, name = image.split("/", 1)
    return f"arn:aws:ecr:{region}:{registry.split('.')[0]}:repository/{name.split(':')[0]}"


def has_local_storage(instance_type: str) -> bool:
    """Whether the type has NVMe storage of its own: the service encrypts it itself and refuses a ``VolumeKmsKeyId``.

    Source: SageMaker API reference, ResourceConfig.
    """
    return _LOCAL_STORAGE.match(instance_type) is not None


def volume_key(instance_type: str, key_arn: str) -> dict[str, str]:
    """``VolumeKmsKeyId`` where the instance type takes one."""
    return {} if has_local_storage(instance_type) else {"VolumeKmsKeyId": key_arn}


def _retrieve(region: str, instance_type: str, scope: str, versions: tuple[str, str]) -> str:
    images = _images()[scope]
    transformers, framework = versions
    image = images["versions"][transformers][framework]
    kind, region_known = processor(instance_type), region in image["registries"]
    if kind not in images["processors"] or not region_known or PYTHON not in image["py_versions"]:
        allowed = "a GPU type such as ml.g4dn.xlarge or ml.g5.xlarge" if scope == "training" else "a CPU or GPU type such as ml.m5.large"
        reason = f"it has them for {' and '.join(images['processors'])}" if region_known else f"none in {region}"
        raise NoImage(f"instance type {instance_type}: AWS builds no Hugging Face {scope} image for it; use {allowed} ({reason})")
    tag = f"{framework.removeprefix('pytorch')}-transformers{transformers}-{kind}-{PYTHON}-{image['container_version'][kind]}"
    return f"{image['registries'][region]}.dkr.ecr.{region}.amazonaws.com/{image['repository']}:{tag}"


@cache
def _images() -> dict[str, Any]:
    """The SageMaker SDK's own list of these images.

    It is read as a file: importing the package takes four seconds of a core, in each synthesis and each command. A test holds what is
    made of it to what the SDK's function answers.
    """
    package = find_spec("sagemaker")  # of a package on the top, this imports nothing
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("the SageMaker SDK is not installed: run make install")
    (folder, *_) = package.submodule_search_locations
    images: dict[str, Any] = json.loads((Path(folder) / "core" / "image_uri_config" / "huggingface.json").read_text(encoding="utf-8"))
    return images
