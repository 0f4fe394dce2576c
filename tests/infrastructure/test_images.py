"""There is a container image for every instance type that the settings let through."""

from __future__ import annotations

from stacks.images import inference_image, training_image
from stacks.settings.instance_types import SHAPES, checked, known


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
