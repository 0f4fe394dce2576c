"""Instance types: the service's own lists, and an image for every type that is let through."""

from __future__ import annotations

import json

import pytest
from botocore.session import Session

from stacks.images import inference_image, training_image
from stacks.settings.instance_types import LIST, SHAPES, by_family, checked, known

MODEL = Session().get_service_model("sagemaker")


def test_the_lists_are_the_services_own() -> None:
    own = {use: by_family(MODEL.shape_for(shape).enum) for use, shape in SHAPES.items()}
    assert json.loads(LIST.read_text(encoding="utf-8")) == own, "write it anew: .venv/bin/python -m stacks.settings.instance_types"
    for use, shape in SHAPES.items():
        assert known(use) == set(MODEL.shape_for(shape).enum)


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


@pytest.mark.parametrize("name", ["ml.c6g.large", "ml.m8g.large", "ml.r7gd.large", "ml.p6e-gb200.36xlarge"])
def test_an_arm_processor_gets_no_x86_image(name: str) -> None:
    """AWS's own list of images gave the x86 one for the newest of them."""
    with pytest.raises(ValueError, match="x86 only"):
        checked("hosting", name)
