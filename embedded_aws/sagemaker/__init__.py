"""SageMaker and A2I: one module per resource, named after it. Importing a module registers its operations."""

from __future__ import annotations

import importlib
import pkgutil


def install() -> None:
    from embedded_aws.core import api
    from embedded_aws.sagemaker import decisions, tags

    tags.install()
    api.refuse_by("sagemaker", decisions.problems)
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
