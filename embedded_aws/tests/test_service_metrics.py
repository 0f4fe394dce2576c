"""Metrics that services publish by themselves: ``AWS/Lambda`` for every invocation, ``AWS/SQS`` for every queue."""

from __future__ import annotations

import datetime as dt
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from embedded_aws.testing.fixtures import TIME_SCALE, ClientFactory, RoleFactory

MINUTE = 60 * TIME_SCALE
HANDLER = """
import time

def handler(event, context):
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if "Records" in event or event.get("fail"):
        raise ValueError("as it was asked to")
"""


def total(aws: ClientFactory, namespace: str, metric: str, statistic: str = "Sum", **dimensions: str) -> float | None:
    """The statistic over the last hour; None without a value."""
    now = dt.datetime.now(dt.UTC)
    points = aws("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Statistics=[statistic],
        Period=7_200,
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(hours=1),
    )["Datapoints"]
    if not points:
        return None
    found = [point[statistic] for point in points]
    return float(sum(found) if statistic == "Sum" else max(found))


class Function:
    """A deployed function and its ``AWS/Lambda`` sums."""

    def __init__(self, aws: ClientFactory, make_role: RoleFactory) -> None:
        self.name = f"counted-{uuid.uuid4().hex[:8]}"
        self._aws = aws
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", HANDLER)
        statement = {"Effect": "Allow", "Action": ["logs:*", "sqs:*"], "Resource": "*"}
        self.arn: str = aws("lambda").create_function(
            FunctionName=self.name,
            Runtime="python3.11",
            Handler="index.handler",
            Timeout=30,
            Role=make_role(self.name, [statement], ["lambda.amazonaws.com"]),
            Code={"ZipFile": archive.getvalue()},
        )["FunctionArn"]

    def sums(self, *metrics: str) -> tuple[float | None, ...]:
        return tuple(total(self._aws, "AWS/Lambda", metric, FunctionName=self.name) for metric in metrics)


@pytest.fixture
def function(aws: ClientFactory, make_role: RoleFactory) -> Function:
    return Function(aws, make_role)


def test_a_direct_invocation_counts_once_under_every_set_of_dimensions(aws: ClientFactory, function: Function) -> None:
    aws("lambda").invoke(FunctionName=function.name, Payload=b"{}")
    aws("lambda").invoke(FunctionName=function.name, Payload=b'{"fail": true}')
    assert function.sums("Invocations", "Errors", "Throttles") == (2, 1, 0)
    assert total(aws, "AWS/Lambda", "Invocations", FunctionName=function.name, Resource=function.name) == 2
    assert total(aws, "AWS/Lambda", "ConcurrentExecutions", "Maximum", FunctionName=function.name) == 1
    assert (total(aws, "AWS/Lambda", "Duration", "Maximum", FunctionName=function.name) or 0) > 0
    assert (total(aws, "AWS/Lambda", "Invocations") or 0) >= 2


def test_each_attempt_of_an_asynchronous_invocation_counts(aws: ClientFactory, function: Function, wait_until: Callable[..., Any]) -> None:
    aws("lambda").invoke(FunctionName=function.name, InvocationType="Event", Payload=b'{"fail": true}')
    wait_until(lambda: function.sums("Invocations", "Errors") == (3, 3))


def test_what_a_queue_a_rule_and_a_state_machine_start_counts(
    aws: ClientFactory, function: Function, make_role: RoleFactory, wait_until: Callable[..., Any]
) -> None:
    queue = aws("sqs").create_queue(QueueName=function.name, Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = aws("lambda").create_event_source_mapping(EventSourceArn=arn, FunctionName=function.name)["UUID"]
    aws("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    wait_until(lambda: function.sums("Invocations", "Errors") == (1, 1))
    aws("lambda").delete_event_source_mapping(UUID=mapping)

    aws("events").put_rule(Name=function.name, EventPattern=json.dumps({"source": [function.name]}))
    aws("events").put_targets(Rule=function.name, Targets=[{"Id": "f", "Arn": function.arn}])
    aws("lambda").add_permission(
        FunctionName=function.name, StatementId="rule", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    aws("events").put_events(Entries=[{"Source": function.name, "DetailType": "x", "Detail": "{}"}])
    wait_until(lambda: function.sums("Invocations", "Errors") == (2, 1))

    role = make_role(f"{function.name}-m", [{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}], ["states.amazonaws.com"])
    state = {"Type": "Task", "Resource": function.arn, "End": True}
    definition = json.dumps({"StartAt": "S", "States": {"S": state}})
    machine = aws("stepfunctions").create_state_machine(name=function.name, definition=definition, roleArn=role)["stateMachineArn"]
    aws("stepfunctions").start_execution(stateMachineArn=machine)
    wait_until(lambda: function.sums("Invocations", "Errors") == (3, 1))


def test_a_refused_invocation_is_a_throttle_and_no_invocation(aws: ClientFactory, function: Function) -> None:
    aws("lambda").put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    with pytest.raises(aws("lambda").exceptions.TooManyRequestsException) as refused:
        aws("lambda").invoke(FunctionName=function.name, Payload=b"{}")
    attempts = refused.value.response["ResponseMetadata"]["RetryAttempts"] + 1
    assert function.sums("Invocations", "Throttles") == (None, attempts)


# -- queues ----------------------------------------------------------------------------------------


@pytest.fixture
def queue(aws: ClientFactory) -> tuple[str, str]:
    """Name and URL."""
    name = f"measured-{uuid.uuid4().hex[:8]}"
    return name, aws("sqs").create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0"})["QueueUrl"]


def of_queue(aws: ClientFactory, metric: str, name: str, statistic: str = "Sum") -> float | None:
    return total(aws, "AWS/SQS", metric, statistic, QueueName=name)


def test_a_queues_messages_are_counted_as_they_come_and_go(
    aws: ClientFactory, queue: tuple[str, str], wait_until: Callable[..., Any]
) -> None:
    name, url = queue
    sqs = aws("sqs")
    wait_until(lambda: of_queue(aws, "ApproximateNumberOfMessagesVisible", name, "Maximum") == 0)
    sqs.send_message(QueueUrl=url, MessageBody="four")
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": key, "MessageBody": "four"} for key in "ab"])
    wait_until(lambda: of_queue(aws, "ApproximateNumberOfMessagesVisible", name, "Maximum") == 3)
    for _ in range(2):
        received = sqs.receive_message(QueueUrl=url)["Messages"][0]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])
    sqs.purge_queue(QueueUrl=url)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    wait_until(lambda: (of_queue(aws, "NumberOfEmptyReceives", name) or 0) == 1)
    counted = {
        metric: of_queue(aws, metric, name) for metric in ("NumberOfMessagesSent", "NumberOfMessagesReceived", "NumberOfMessagesDeleted")
    }
    assert counted == {"NumberOfMessagesSent": 3, "NumberOfMessagesReceived": 2, "NumberOfMessagesDeleted": 1}
    assert of_queue(aws, "SentMessageSize", name, "Maximum") == 4


def test_the_age_is_that_of_the_oldest_message_and_grows(
    aws: ClientFactory, queue: tuple[str, str], wait_until: Callable[..., Any]
) -> None:
    name, url = queue
    sent = time.time()
    aws("sqs").send_message(QueueUrl=url, MessageBody="old")
    wait_until(lambda: (of_queue(aws, "ApproximateAgeOfOldestMessage", name, "Maximum") or 0) > 2 * MINUTE)
    assert (of_queue(aws, "ApproximateAgeOfOldestMessage", name, "Maximum") or 0) <= time.time() - sent


def test_a_message_that_the_redrive_policy_moves_is_visible_in_the_dead_letter_queue_and_was_not_sent_there(
    aws: ClientFactory, queue: tuple[str, str], wait_until: Callable[..., Any]
) -> None:
    name, url = queue
    arn = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    source = aws("sqs").create_queue(QueueName=f"{name}-source", Attributes={"VisibilityTimeout": "0", "RedrivePolicy": policy})["QueueUrl"]
    aws("sqs").send_message(QueueUrl=source, MessageBody="poison")
    assert aws("sqs").receive_message(QueueUrl=source)["Messages"]
    assert "Messages" not in aws("sqs").receive_message(QueueUrl=source)
    wait_until(lambda: of_queue(aws, "ApproximateNumberOfMessagesVisible", name, "Maximum") == 1)
    assert (of_queue(aws, "NumberOfMessagesSent", name), of_queue(aws, "NumberOfMessagesSent", f"{name}-source")) == (0, 1)


def test_every_minute_has_one_value_of_each_metric(aws: ClientFactory, queue: tuple[str, str], wait_until: Callable[..., Any]) -> None:
    """The metrics' namespace, names and dimension are AWS's, so that an alarm written for AWS finds them."""
    name, _ = queue
    wait_until(lambda: (of_queue(aws, "ApproximateNumberOfMessagesVisible", name, "SampleCount") or 0) >= 3)
    listed = aws("cloudwatch").list_metrics(Namespace="AWS/SQS", Dimensions=[{"Name": "QueueName", "Value": name}])["Metrics"]
    assert {metric["MetricName"] for metric in listed} == {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfEmptyReceives",
        "NumberOfMessagesDeleted",
        "NumberOfMessagesReceived",
        "NumberOfMessagesSent",
    }
