"""First step of the ``labeling`` state machine: is everything right that people will be paid for (see :mod:`.check`)?

It also lays the worker page and the categories where the job reads them, under the digest of both. The page comes with the execution,
and the categories are the names of the labels at this moment, so nothing changes for a job that runs.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.current_labels import NoLabels, current_labels
from lambdas.common.environment import read_environment
from lambdas.common.labels import Labels
from lambdas.common.observability import logger, tracer
from lambdas.common.s3_uri import read_lines, split_uri
from lambdas.labeling.check_manifest.check import InvalidInput, check_rows, job_name


@dataclass(frozen=True)
class Environment:
    job_prefix: str
    label_attribute: str
    max_text_chars: int
    inputs_uri: str
    """S3 prefix of the jobs' pages and categories, with ``/`` at its end."""
    dataset_parameter: str
    labels: tuple[str, ...] = ()
    """Set where ``dataset.labels`` pins them."""
    cannot_tell: bool = False
    """Whether people may answer that they cannot tell which label is right."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _check(uri: str) -> int:
    s3 = client("s3")
    try:
        lines = read_lines(s3, uri)
    except s3.exceptions.NoSuchKey:
        raise InvalidInput(f"manifest_uri {uri} does not exist: upload the manifest there, or name the one that is meant") from None
    except ValueError as error:
        raise InvalidInput(f"manifest_uri {error}") from None
    return check_rows(lines, _environment().label_attribute, longest=_environment().max_text_chars)


def _labels() -> Labels:
    environment = _environment()
    try:
        return current_labels(environment.dataset_parameter, environment.labels).offering(environment.cannot_tell)
    except NoLabels as error:
        raise InvalidInput(f"people cannot be asked: {error}") from None


def _lay_inputs(page: str, labels: Labels) -> dict[str, str]:
    """Write page and label category file; an equal pair is written over itself. The file holds what people see."""
    categories = json.dumps({"document-version": "2018-11-28", "labels": [{"label": name} for name in labels.categories]}, allow_nan=False)
    digest = hashlib.sha256(f"{page}\0{categories}".encode()).hexdigest()[:16]
    uris = {}
    for field, name, content in (("page_uri", "worker-template.liquid", page), ("categories_uri", "categories.json", categories)):
        uris[field] = f"{_environment().inputs_uri}{digest}/{name}"
        bucket, key = split_uri(uris[field])
        client("s3").put_object(Bucket=bucket, Key=key, Body=content.encode())
    return uris


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"name", "manifest_uri", "page"}`` -> ``{"job_name", "manifest_uri", "texts", "page_uri", "categories_uri"}``.

    Raises:
        InvalidInput: the name or the manifest cannot be used, or nothing says which labels there are.
    """
    name = job_name(_environment().job_prefix, event["name"])
    labels = _labels()
    texts = _check(event["manifest_uri"])
    logger.info("manifest checked", extra={"job_name": name, "texts": texts})
    return {"job_name": name, "manifest_uri": event["manifest_uri"], "texts": texts, **_lay_inputs(event["page"], labels)}
