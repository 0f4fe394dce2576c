"""Container images and instance types: what AWS builds, and what it refuses to combine. No network, no credentials.

Training and evaluation use the Hugging Face training image, which AWS builds for GPUs only; inference has one for each.
"""

from __future__ import annotations

import re

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
    # Here, because the SDK's package takes four seconds to import, and few commands ask for an image.
    from sagemaker.core import image_uris

    try:
        uri: str = image_uris.retrieve(
            "huggingface",
            region,
            version=versions[0],
            base_framework_version=versions[1],
            instance_type=instance_type,
            image_scope=scope,
            py_version=PYTHON,
        )
    except ValueError as error:
        allowed = "a GPU type such as ml.g4dn.xlarge or ml.g5.xlarge" if scope == "training" else "a CPU or GPU type such as ml.m5.large"
        raise NoImage(f"instance type {instance_type}: AWS builds no Hugging Face {scope} image for it; use {allowed} ({error})") from None
    return uri
