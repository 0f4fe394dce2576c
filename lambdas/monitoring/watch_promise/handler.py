"""Each hour: whether the champion's audit labels refute the review promise (:mod:`contracts.review_promise`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from contracts.betting import LARGEST
from contracts.review_promise import Promise, evidence
from lambdas.common.clients import prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.predictions import StoredPrediction
from lambdas.monitoring.watch_promise.audits import champions_audits


@dataclass(frozen=True)
class Environment:
    predictions_table: str
    max_error: float
    confidence: float
    days: int
    """The number of days whose labels are read. Where a model serves for longer, its evidence is that of these days."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _labels(now: datetime) -> Iterator[StoredPrediction]:
    store, days = prediction_store(_environment().predictions_table), _environment().days
    return chain.from_iterable(store.labels_of_day((now - timedelta(days=back)).date().isoformat()) for back in range(days, -1, -1))


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns ``{"status": "no_audits"}``, or ``{"status": "watched", "model_version", "labels", "wrong", "strength", "refuted_after"}``.

    ``strength`` is the largest evidence so far, divided by what refutes the promise: from 1 on the promise is refuted.
    """
    audits = champions_audits(_labels(datetime.now(UTC)))
    if audits is None:
        logger.info("no answer of a champion has been audited yet")
        return {"status": "no_audits"}
    found = evidence(audits.wrong, Promise(_environment().max_error, _environment().confidence))
    strength = min(found.strength, LARGEST)
    metrics.add_metric("PromiseEvidence", MetricUnit.NoUnit, strength)
    metrics.add_metric("AuditLabels", MetricUnit.Count, found.labels)
    metrics.add_metric("AuditErrors", MetricUnit.Count, found.wrong)
    told = {
        "model_version": audits.model_version,
        "labels": found.labels,
        "wrong": found.wrong,
        "strength": strength,
        "refuted_after": found.refuted_after,
    }
    if found.refuted_after is None:
        logger.info("the review promise is not refuted", extra=told)
    else:
        logger.warning("audit labels refute the review promise", extra=told)
    return {"status": "watched", **told}
