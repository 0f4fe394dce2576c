"""Each hour: whether the champion's audit labels refute the review promise (:mod:`contracts.review_promise`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from contracts.betting import LARGEST
from contracts.review_promise import Promise
from contracts.shared_words import NO_BETS
from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.monitoring.watch_promise.audits import audits
from lambdas.monitoring.watch_promise.bets import Bets, begun, last_final_day


@dataclass(frozen=True)
class Environment:
    predictions_table: str
    bets_parameter: str
    max_error: float
    confidence: float
    days: int
    """Most days that one run reads. Without a record of the bets, they begin that many days ago."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _now() -> datetime:
    return datetime.now(UTC)


def _record() -> str:
    ssm = client("ssm")
    try:
        return str(ssm.get_parameter(Name=_environment().bets_parameter)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return NO_BETS


def _read(record: str) -> tuple[Bets, Bets]:
    """The bets after the last day that has all its labels, and those after the labels of now."""
    environment, now = _environment(), _now()
    final, new = begun(record, Promise(environment.max_error, environment.confidence), now.date(), environment.days)
    if new is not None:
        logger.warning("new bets against the review promise begin", extra={"reason": new})
    store, latest = prediction_store(environment.predictions_table), final
    day = max(final.day + timedelta(days=1), now.date() - timedelta(days=environment.days))
    while day <= now.date():
        latest = latest.with_day(day, audits(store.labels_of_day(day.isoformat())))
        if day <= last_final_day(now):
            final = latest
        day += timedelta(days=1)
    return final, latest


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns ``{"status": "no_audits"}``, or ``{"status": "watched", "model_version", "labels", "wrong", "strength", "refuted_after"}``.

    ``strength`` is the largest evidence so far, divided by what refutes the promise: from 1 on the promise is refuted.
    """
    record = _record()
    final, latest = _read(record)
    told = _tell(latest)
    # Written last: a run that breaks off before has counted nothing.
    if (counted := final.format()) != record:
        client("ssm").put_parameter(Name=_environment().bets_parameter, Value=counted, Type="String", Overwrite=True)
    return told


def _tell(bets: Bets) -> dict[str, Any]:
    champion, found = bets.champion, bets.champions
    if champion is None or found is None:
        logger.info("no answer of a champion has been audited yet")
        return {"status": "no_audits"}
    strength = min(found.strength, LARGEST)
    metrics.add_metric("PromiseEvidence", MetricUnit.NoUnit, strength)
    metrics.add_metric("AuditLabels", MetricUnit.Count, found.labels)
    metrics.add_metric("AuditErrors", MetricUnit.Count, found.wrong)
    told = {
        "model_version": champion.model_version,
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
