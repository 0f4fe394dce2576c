"""The scheduled reconciliation: every prediction that people should look at is in review, reviewed, or dead-lettered.

A request may be lost on its way to the queue, because the caller's answer does not wait for it. Such a request is sent again. A review
that is past the backend's time limit is counted, and the alarm on that count asks an operator to look.

With ``review.daily_budget`` it also chooses which of the waiting texts people are asked about (:mod:`.budget`). A text that has waited too
long is given up, with its reason on the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError

from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.review import ReviewRequest, ReviewState
from lambdas.review.reconcile.budget import NOTHING_SPENT, InvalidSpending, Spending, places
from lambdas.review.reconcile.choosing import Choice, Terms, choose, without_budget
from lambdas.review.reconcile.reconciliation import reconcile, waited_seconds


@dataclass(frozen=True)
class Environment:
    predictions_table: str
    review_queue_url: str
    resend_after_seconds: int
    overdue_after_seconds: int
    daily_budget: int = 0
    """``review.daily_budget``; 0: there is none."""
    budget_parameter: str = ""
    """What is spent of today's budget (:class:`Spending`)."""
    longest_wait_seconds: int = 0
    """Seconds after which a waiting text is given up."""


@cache
def _environment() -> Environment:
    return read_environment(Environment)


class NotSentAgain(RuntimeError):
    """Requests are still not in the queue; the next run tries again."""


def _sent_again(request: ReviewRequest) -> bool:
    sent = _sent(request)
    if sent:
        logger.warning("review request sent again", extra={"prediction_id": request.prediction_id})
    return sent


def _sent(request: ReviewRequest) -> bool:
    try:
        client("sqs").send_message(QueueUrl=_environment().review_queue_url, MessageBody=request.to_json())
    except ClientError:
        logger.exception("review request not sent", extra={"prediction_id": request.prediction_id})
        return False
    return True


def _choose(store: PredictionStore, open_reviews: int, now: datetime) -> Choice:
    environment = _environment()
    if not environment.daily_budget:
        return without_budget(store.open_reviews(ReviewState.WAITING), _sent)
    spending = _spending(now)
    terms = Terms(
        places=places(environment.daily_budget, spending.chosen, open_reviews, now),
        longest_wait=timedelta(seconds=environment.longest_wait_seconds),
        given_up=f"not chosen in time: others took the {environment.daily_budget} places of each day (review.daily_budget)",
        now=now,
    )
    return choose(store, terms, spend=lambda number: _spend(spending.and_also(number)), send=_sent)


def _spending(now: datetime) -> Spending:
    ssm = client("ssm")
    try:
        record = str(ssm.get_parameter(Name=_environment().budget_parameter)["Parameter"]["Value"])
        return Spending.parse(record, now.date())
    except ssm.exceptions.ParameterNotFound:
        return Spending.parse(NOTHING_SPENT, now.date())
    except InvalidSpending as error:
        logger.error("today's budget counts as spent, and tomorrow's does not", extra={"problem": str(error)})
        _spend(spent := Spending(now.date(), _environment().daily_budget))
        return spent


def _spend(spending: Spending) -> None:
    client("ssm").put_parameter(Name=_environment().budget_parameter, Value=spending.format(), Type="String", Overwrite=True)


def _now() -> datetime:
    return datetime.now(UTC)


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table)


def _count(name: str, value: int) -> None:
    metrics.add_metric(name, MetricUnit.Count, value)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns counts: ``{"requested", "in_review", "dead_lettered", "resent", "overdue", "unusable", "waiting", "chosen", "not_chosen"}``,
    and ``oldest_seconds``, for which the oldest open review waits. ``waiting`` is 10,000 at most.

    Raises:
        NotSentAgain: at least one request could not be queued. Every other request was tried before.
    """
    environment, store, now = _environment(), _store(), _now()
    found = reconcile(
        store.open_reviews(ReviewState.REQUESTED),
        store.open_reviews(ReviewState.IN_REVIEW),
        store.open_reviews(ReviewState.DEAD_LETTERED),
        resend_before=(now - timedelta(seconds=environment.resend_after_seconds)).isoformat(),
        overdue_before=(now - timedelta(seconds=environment.overdue_after_seconds)).isoformat(),
    )
    failed = [request.prediction_id for request in found.to_resend if not _sent_again(request)]
    resent, waits = len(found.to_resend) - len(failed), waited_seconds(found.oldest, now)
    _count("ReviewsRequested", found.requested)
    _count("ReviewsOpen", found.in_review)
    _count("ReviewsDeadLettered", found.dead_lettered)
    _count("ReviewsResent", resent)
    _count("ReviewsOverdue", len(found.overdue))
    metrics.add_metric("OldestReviewSeconds", MetricUnit.Seconds, waits)
    choice = _choose(store, found.requested + found.in_review, now)  # after the counts, because alarms need them whatever becomes of it
    if environment.daily_budget:
        _count("ReviewsWaiting", choice.waiting)
        _count("ReviewsChosen", choice.sent)
        _count("ReviewsNotChosen", choice.not_chosen)
    failed += choice.failed
    unusable = [*found.unusable, *choice.unusable]
    for problem in unusable:
        logger.error("this record cannot become a review request: correct or delete it", extra={"record": problem})
    _count("ReviewRecordsUnusable", len(unusable))
    if failed:
        raise NotSentAgain(
            f"{len(failed)} of {len(failed) + resent + choice.sent} requests could not be queued, first {failed[0]}: see the log"
        )
    return {
        "requested": found.requested,
        "in_review": found.in_review,
        "dead_lettered": found.dead_lettered,
        "resent": len(found.to_resend),
        "overdue": len(found.overdue),
        "unusable": len(unusable),
        "waiting": choice.waiting,
        "chosen": choice.sent,
        "not_chosen": choice.not_chosen,
        "oldest_seconds": waits,
    }
