"""Container image URIs by region, from the SageMaker SDK's own tables: no network, no credentials.

AWS builds no CPU image for Hugging Face training, so training and evaluation run on a GPU type; inference has both.
"""

from __future__ import annotations

from sagemaker.core import image_uris

TRANSFORMERS_TRAINING = ("5.3.0", "pytorch2.9.0")
TRANSFORMERS_INFERENCE = ("5.5.3", "pytorch2.6.0")
PYTHON = "py312"


def training_image(region: str, instance_type: str) -> str:
    """Raises ValueError when no training image fits the instance type."""
    return _retrieve(region, instance_type, "training", TRANSFORMERS_TRAINING)


def inference_image(region: str, instance_type: str) -> str:
    """Raises ValueError when no inference image fits the instance type."""
    return _retrieve(region, instance_type, "inference", TRANSFORMERS_INFERENCE)


def repository_arn(image: str, region: str) -> str:
    """The ECR repository of an image URI ``<account>.dkr.ecr.<region>.amazonaws.com/<name>:<tag>``."""
    registry, name = image.split("/", 1)
    return f"arn:aws:ecr:{region}:{registry.split('.')[0]}:repository/{name.split(':')[0]}"


def _retrieve(region: str, instance_type: str, scope: str, versions: tuple[str, str]) -> str:
    uri: str = image_uris.retrieve(
        "huggingface",
        region,
        version=versions[0],
        base_framework_version=versions[1],
        instance_type=instance_type,
        image_scope=scope,
        py_version=PYTHON,
    )
    return uri
