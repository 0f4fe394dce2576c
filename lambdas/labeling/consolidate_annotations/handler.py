"""Ground Truth hands over a file of annotations (see :mod:`lambdas.labeling.consolidate_annotations.annotations`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.consolidation import Plurality
from lambdas.common.current_labels import current_labels
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger
from lambdas.common.s3_uri import read_json
from lambdas.labeling.consolidate_annotations.annotations import consolidate_objects


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
def handler(event: dict[str, Any], context: Any) -> list[dict[str, Any]]:
    payload = read_json(client("s3"), event["payload"]["s3Uri"])
    environment = _environment()
    labels = current_labels(environment.dataset_parameter, environment.labels).offering(environment.cannot_tell)
    return consolidate_objects(payload, event["labelAttributeName"], labels, Plurality(labels.ids))
