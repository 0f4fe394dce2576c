"""Instance types by what they are used for, as the service lists them, and those that AWS builds an image for.

``instance_types.json`` is the service's own list, taken from botocore's model of SageMaker: botocore is no part of synthesis. A test
holds the two together; ``.venv/bin/python -m stacks.settings.instance_types`` writes the file anew.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

LIST = Path(__file__).with_suffix(".json")
SHAPES = {"training": "TrainingInstanceType", "processing": "ProcessingInstanceType", "hosting": "ProductionVariantInstanceType"}
"""Use -> the service's own type (SageMaker API reference: ResourceConfig, ProcessingClusterConfig, ProductionVariant)."""
_ARM = re.compile(r"ml\.([a-z]\d+g[a-z]*|p\de?-gb\d+)\.")
_OTHER_ACCELERATOR = re.compile(r"ml\.(inf|trn|dl)\d")
_GPU = re.compile(r"ml\.[gp]\d")


@cache
def known(use: str) -> frozenset[str]:
    """All instance types that the service takes for ``use``, a key of :data:`SHAPES`."""
    families: dict[str, str] = json.loads(LIST.read_text(encoding="utf-8"))[use]
    return frozenset(f"ml.{family}.{size}" for family, sizes in families.items() for size in sizes.split())


def checked(use: str, instance_type: str) -> str:
    """``instance_type``, if the service has it and AWS builds the image for it.

    Raises:
        ValueError: with what is allowed.
    """
    if instance_type not in known(use):
        near = difflib.get_close_matches(instance_type, sorted(known(use)), 3) or ["ml.g4dn.xlarge"]
        raise ValueError(f"SageMaker has no such instance type for {use}: allowed are its own, such as {', '.join(near)}")
    if _ARM.match(instance_type):
        raise ValueError(
            "its processor is an ARM one (Graviton or Grace), and AWS builds the images for x86 only: use a type such as ml.m7i.large"
        )
    if _OTHER_ACCELERATOR.match(instance_type):
        raise ValueError("its accelerator takes models that are compiled for it, and these are not: use a CPU or GPU type")
    if use != "hosting" and not _GPU.match(instance_type):
        raise ValueError("AWS builds the training image for GPUs only: use a type such as ml.g4dn.xlarge or ml.g5.xlarge")
    return instance_type


def processor(instance_type: str) -> str | None:
    """What computes: ``cpu``, ``gpu``, or nothing that AWS builds these images for."""
    if _ARM.match(instance_type) or _OTHER_ACCELERATOR.match(instance_type):
        return None
    return "gpu" if _GPU.match(instance_type) else "cpu"


def by_family(types: list[str]) -> dict[str, str]:
    """``["ml.m5.large", "ml.m5.xlarge"]`` -> ``{"m5": "large xlarge"}``."""
    families: dict[str, list[str]] = defaultdict(list)
    for name in types:
        _, family, size = name.split(".")
        families[family].append(size)
    return {family: " ".join(sorted(sizes)) for family, sizes in sorted(families.items())}


def main() -> None:
    """Write the list anew from the installed botocore."""
    from botocore.session import Session

    model = Session().get_service_model("sagemaker")
    content = {use: by_family(model.shape_for(shape).enum) for use, shape in SHAPES.items()}
    LIST.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
