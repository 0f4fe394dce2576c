"""On a schedule: one mail to the reviewers when tasks wait for too long (see :mod:`.notice`)."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.review.announce_tasks.notice import Rule, notice
from lambdas.review.hosted_tasks.edges import task_table

MOST_LOOKED_AT = 200
"""The number of waiting tasks that one run reads."""


@dataclass(frozen=True)
class Environment:
    review_tasks_table: str
    retention_days: int
    team: str
    topic: str
    """ARN of the topic that sends the mails."""
    page_parameter: str
    after_minutes: int
    every_hours: int


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _now() -> int:
    return int(time.time() * 1_000)


def _page_url() -> str:
    value = client("ssm").get_parameter(Name=_environment().page_parameter)["Parameter"]["Value"]
    return f"{str(json.loads(value)['url']).rstrip('/')}/worker"


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns ``{"waiting", "sent"}``: the number of waiting tasks that were seen, and whether a mail was sent.

    It sends the mail first and records it afterwards. If it is killed in between, the next run sends the mail again, so none is lost.
    """
    environment, now = _environment(), _now()
    table = task_table(environment.review_tasks_table, environment.retention_days)
    waiting = [task.created_at for task in table.queued(environment.team, MOST_LOOKED_AT) if task.gone_at > now]
    last = table.announced(environment.team)
    rule = Rule(environment.after_minutes, environment.every_hours)
    found = notice(waiting, None if last is None else last.at, now, rule, page=_page_url(), most=MOST_LOOKED_AT)
    if found is not None:
        client("sns").publish(TopicArn=environment.topic, Subject=found.subject, Message=found.text)
        table.announce(environment.team, last, now)
        metrics.add_metric("ReviewMailsSent", MetricUnit.Count, 1)
    logger.info("waiting tasks seen", extra={"waiting": len(waiting), "sent": found is not None})
    return {"waiting": len(waiting), "sent": found is not None}
