"""The AWS calls that the functions of the hosted review service share: to the table, the review bucket and the queue ``review-results``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from lambdas.common.clients import client, dynamodb_table
from lambdas.review.hosted_tasks.ending import Ports
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.port import ReviewEnded


@dataclass(frozen=True)
class TaskEnvironment:
    """Variables of a function that may end tasks."""

    review_tasks_table: str
    retention_days: int
    review_bucket: str
    review_results_url: str


@cache
def task_table(name: str, retention_days: int) -> TaskTable:
    return TaskTable(dynamodb_table(name), retention_days)


def ports(environment: TaskEnvironment) -> Ports:
    def write_output(key: str, body: bytes) -> None:
        client("s3").put_object(Bucket=environment.review_bucket, Key=key, Body=body, ContentType="application/json")

    def send(ended: ReviewEnded) -> None:
        client("sqs").send_message(QueueUrl=environment.review_results_url, MessageBody=ended.to_json())

    return Ports(task_table(environment.review_tasks_table, environment.retention_days), write_output, send)
