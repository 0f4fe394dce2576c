"""There is a container image for every instance type that the settings let through: the one that AWS's SDK names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from stacks import images
from stacks.images import NoImage, inference_image, training_image
from stacks.settings import Region
from stacks.settings.instance_types import SHAPES, checked, known

ROOT = Path(__file__).resolve().parents[2]


def let_through(use: str) -> list[str]:
    allowed = []
    for name in sorted(known(use)):
        try:
            allowed.append(checked(use, name))
        except ValueError:
            continue
    return allowed


def test_there_is_an_image_for_every_type_that_is_let_through() -> None:
    families: dict[str, tuple[str, str]] = {}
    for use in SHAPES:
        for name in let_through(use):
            families.setdefault(f"{use} {name.split('.')[1]}", (use, name))
    assert len(families) > 30
    for use, name in families.values():
        image = inference_image("us-east-1", name) if use == "hosting" else training_image("us-east-1", name)
        assert ("-gpu-" in image) == (name[3] in "gp"), (name, image)
        assert image == sdks_own("us-east-1", name, "inference" if use == "hosting" else "training")


@pytest.mark.parametrize("region", get_args(Region))
def test_it_is_the_one_that_the_sdk_names_in_every_region(region: str) -> None:
    assert training_image(region, "ml.g5.xlarge") == sdks_own(region, "ml.g5.xlarge", "training")
    for name in ("ml.g5.xlarge", "ml.m5.large"):
        assert inference_image(region, name) == sdks_own(region, name, "inference")


@pytest.mark.parametrize(("name", "scope"), [("ml.m5.large", "training"), ("ml.inf2.xlarge", "inference")])
def test_where_the_sdk_names_none_neither_do_we(name: str, scope: str) -> None:
    with pytest.raises(ValueError, match="Unsupported"):
        sdks_own("us-east-1", name, scope)
    with pytest.raises(NoImage, match=f"{name}.*no Hugging Face {scope} image"):
        (training_image if scope == "training" else inference_image)("us-east-1", name)


def test_a_region_without_images_is_named() -> None:
    with pytest.raises(NoImage, match="none in mars-north-1"):
        inference_image("mars-north-1", "ml.m5.large")


def test_the_sdk_is_not_imported_for_it() -> None:
    """It takes four seconds of a core, in each synthesis."""
    work = "import stacks.images as images, sys; images.inference_image('us-east-1', 'ml.m5.large'); print('sagemaker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", work], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def sdks_own(region: str, instance_type: str, scope: str) -> str:
    from sagemaker.core import image_uris

    transformers, framework = images.TRANSFORMERS_TRAINING if scope == "training" else images.TRANSFORMERS_INFERENCE
    found: str = image_uris.retrieve(
        "huggingface",
        region,
        version=transformers,
        base_framework_version=framework,
        instance_type=instance_type,
        image_scope=scope,
        py_version=images.PYTHON,
    )
    return found
