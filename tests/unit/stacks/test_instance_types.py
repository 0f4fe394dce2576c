"""Instance types: the service's own lists, and what is refused of them."""

from __future__ import annotations

import json

import pytest
from botocore.session import Session

from stacks.settings.instance_types import LIST, SHAPES, by_family, checked, known

MODEL = Session().get_service_model("sagemaker")


def test_the_lists_are_the_services_own() -> None:
    own = {use: by_family(MODEL.shape_for(shape).enum) for use, shape in SHAPES.items()}
    assert json.loads(LIST.read_text(encoding="utf-8")) == own, "write it anew: .venv/bin/python -m stacks.settings.instance_types"
    for use, shape in SHAPES.items():
        assert known(use) == set(MODEL.shape_for(shape).enum)


@pytest.mark.parametrize("name", ["ml.c6g.large", "ml.m8g.large", "ml.r7gd.large", "ml.p6e-gb200.36xlarge"])
def test_an_arm_processor_gets_no_x86_image(name: str) -> None:
    """AWS's own list of images gave the x86 one for the newest of them."""
    with pytest.raises(ValueError, match="x86 only"):
        checked("hosting", name)
