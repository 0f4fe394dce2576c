"""SageMaker and A2I: one module a resource, named after it. Importing a module registers its operations."""

from __future__ import annotations

import importlib
import pkgutil


def install() -> None:
    from local.emulator import api
    from local.emulator.sagemaker import decisions

    api.refuse_by("sagemaker", decisions.problems)
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
