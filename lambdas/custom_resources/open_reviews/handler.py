"""Custom resource that refuses its own deletion, and so the stack's, while reviews are open (see :mod:`.guard`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from contracts.shared_words import DUE_TASKS
from lambdas.common.clients import client, dynamodb_table, prediction_store
from lambdas.common.observability import logger
from lambdas.common.review import ReviewState
from lambdas.custom_resources.open_reviews.guard import GIVEN_UP, guard
from lambdas.custom_resources.response import answer

_MOST = 50
"""The number of open reviews to look for; the list in the reason is shorter."""


def _found(properties: Mapping[str, Any]) -> list[str]:
    """Reviews that wait, were asked for or run, and with the hosted review the tasks that no prediction is behind. A table that is gone has
    none."""
    tasks = properties.get("TasksTable")
    return list(dict.fromkeys([*_of_table(lambda: _reviews(properties["PredictionsTable"])), *_of_table(lambda: _tasks(tasks))]))


def _reviews(table: str) -> list[str]:
    store = prediction_store(table)
    states = (ReviewState.WAITING, ReviewState.REQUESTED, ReviewState.IN_REVIEW)
    return [one.review_id or one.prediction_id for state in states for one in islice(store.open_reviews(state), _MOST)]


def _tasks(table: str | None) -> list[str]:
    if not table:
        return []
    page = dynamodb_table(table).query(IndexName=DUE_TASKS, KeyConditionExpression=Key("due").eq("due"), Limit=_MOST)
    return [item["review_id"] for item in page["Items"] if "gold" not in item]


def _of_table(read: Callable[[], list[str]]) -> list[str]:
    try:
        return read()
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return []
        raise


def _given_up(parameter: str) -> bool:
    ssm = client("ssm")
    try:
        value: str = ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return False
    return value == GIVEN_UP


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    properties = event["ResourceProperties"]
    return answer(event, lambda request: guard(request, lambda: _found(properties), lambda: _given_up(properties["Parameter"])))
