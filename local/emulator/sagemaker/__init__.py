"""SageMaker and A2I: one module a resource, named after it. Importing a module registers its operations."""

from __future__ import annotations

import importlib

MODULES: tuple[str, ...] = (
    # "training", "tuning", "processing", "model_registry",
    # "models", "endpoint_configs", "endpoints", "update_endpoint",
    # "workforce", "human_task_ui", "flow_definitions", "human_loops", "labeling_jobs",
)


def install() -> None:
    for name in MODULES:
        importlib.import_module(f"local.emulator.sagemaker.{name}")
