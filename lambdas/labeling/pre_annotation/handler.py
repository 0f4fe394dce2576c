"""Ground Truth asks what to show for one manifest row (see :mod:`lambdas.labeling.pre_annotation.task`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lambdas.common.current_labels import current_labels
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger
from lambdas.labeling.pre_annotation.task import worker_task


@dataclass(frozen=True)
class Environment:
    dataset_parameter: str
    labels: tuple[str, ...] = ()
    """Set where ``dataset.labels`` pins them."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return worker_task(event, current_labels(_environment().dataset_parameter, _environment().labels))
