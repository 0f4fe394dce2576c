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
    cannot_tell: bool = False
    """Whether people may answer that they cannot tell which label is right."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    environment = _environment()
    return worker_task(event, current_labels(environment.dataset_parameter, environment.labels).offering(environment.cannot_tell))
