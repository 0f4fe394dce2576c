"""Message move tasks: dead letters go back to where they came from, under the caller's permissions."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.fixtures import ClientFactory, RoleFactory


class Queues:
    """A dead-letter queue, a queue whose poisonous messages end there, and one beside them."""

    def __init__(self, sqs: Any, *, key: str | None = None) -> None:
        self.sqs, self.name = sqs, f"moves-{uuid.uuid4().hex[:8]}"
        encrypted = {"KmsMasterKeyId": key} if key else {}
        self.dead = self._create("dead", {"VisibilityTimeout": "0", **encrypted})
        policy = json.dumps({"deadLetterTargetArn": self.arn(self.dead), "maxReceiveCount": 1})
        self.source = self._create("source", {"VisibilityTimeout": "0", "RedrivePolicy": policy, **encrypted})
        self.other = self._create("other", {})

    def _create(self, word: str, attributes: dict[str, str]) -> str:
        return str(self.sqs.create_queue(QueueName=f"{self.name}-{word}", Attributes=attributes)["QueueUrl"])

    def arn(self, url: str) -> str:
        return str(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])

    def count(self, url: str) -> int:
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"])

    def fail(self, *bodies: str) -> list[str]:
        """Messages that were received too often; returns their ids."""
        sent = [
            self.sqs.send_message(
                QueueUrl=self.source, MessageBody=body, MessageAttributes={"kind": {"DataType": "String", "StringValue": "review"}}
            )["MessageId"]
            for body in bodies
        ]
        while self.sqs.receive_message(QueueUrl=self.source, MaxNumberOfMessages=10).get("Messages"):
            pass
        assert self.count(self.dead) == len(bodies)
        return sent

    def tasks(self, most: int = 10) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.sqs.list_message_move_tasks(SourceArn=self.arn(self.dead), MaxResults=most)["Results"]
        return listed


@pytest.fixture
def queues(aws: ClientFactory) -> Queues:
    return Queues(aws("sqs"))


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    return refused.value.response["Error"]["Code"], refused.value.response["Error"]["Message"]


def test_dead_letters_go_back_to_the_queue_that_they_came_from_as_new_messages(queues: Queues, wait_until: Callable[..., Any]) -> None:
    before = queues.fail("a", "b")
    assert queues.sqs.list_dead_letter_source_queues(QueueUrl=queues.dead)["queueUrls"] == [queues.source]
    handle = queues.sqs.start_message_move_task(SourceArn=queues.arn(queues.dead))["TaskHandle"]
    assert handle
    wait_until(lambda: queues.tasks()[0]["Status"] == "COMPLETED")
    [task] = queues.tasks()
    assert (task["ApproximateNumberOfMessagesMoved"], task["ApproximateNumberOfMessagesToMove"]) == (2, 2)
    assert not {"TaskHandle", "DestinationArn", "FailureReason"} & task.keys()
    assert (queues.count(queues.dead), queues.count(queues.source)) == (0, 2)
    received = queues.sqs.receive_message(
        QueueUrl=queues.source, MaxNumberOfMessages=10, AttributeNames=["ApproximateReceiveCount"], MessageAttributeNames=["All"]
    )["Messages"]
    assert {message["Body"] for message in received} == {"a", "b"}
    assert {message["Attributes"]["ApproximateReceiveCount"] for message in received} == {"1"}
    assert {message["MessageAttributes"]["kind"]["StringValue"] for message in received} == {"review"}
    assert not {message["MessageId"] for message in received} & set(before)


def test_a_destination_takes_them_all(queues: Queues, wait_until: Callable[..., Any]) -> None:
    queues.fail("a")
    queues.sqs.send_message(QueueUrl=queues.dead, MessageBody="put here by hand")
    queues.sqs.start_message_move_task(SourceArn=queues.arn(queues.dead), DestinationArn=queues.arn(queues.other))
    wait_until(lambda: queues.tasks()[0]["Status"] == "COMPLETED")
    assert queues.tasks()[0]["DestinationArn"] == queues.arn(queues.other)
    assert (queues.count(queues.dead), queues.count(queues.source), queues.count(queues.other)) == (0, 0, 2)


def test_a_message_without_a_source_fails_the_task_and_stays(queues: Queues, wait_until: Callable[..., Any]) -> None:
    queues.sqs.send_message(QueueUrl=queues.dead, MessageBody="put here by hand")
    queues.sqs.start_message_move_task(SourceArn=queues.arn(queues.dead))
    wait_until(lambda: queues.tasks()[0]["Status"] == "FAILED")
    assert queues.tasks()[0]["FailureReason"] == "CouldNotDetermineMessageSource"
    assert queues.count(queues.dead) == 1


def test_one_task_at_a_time_and_it_can_be_cancelled(queues: Queues, wait_until: Callable[..., Any]) -> None:
    queues.fail(*"abcdef")
    dead = queues.arn(queues.dead)
    handle = queues.sqs.start_message_move_task(SourceArn=dead, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    code, message = refusal(queues.sqs.start_message_move_task, SourceArn=dead)
    assert (code, message.split(".")[0]) == ("InvalidParameterValue", "There is already a task running")
    assert queues.tasks()[0]["TaskHandle"] == handle
    assert queues.sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"] <= 2
    wait_until(lambda: queues.tasks()[0]["Status"] == "CANCELLED")
    assert queues.count(queues.dead) >= 3
    assert refusal(queues.sqs.cancel_message_move_task, TaskHandle=handle)[0] == "InvalidParameterValue"
    assert refusal(queues.sqs.cancel_message_move_task, TaskHandle="bm9uZQ==")[0] == "ResourceNotFoundException"
    queues.sqs.start_message_move_task(SourceArn=dead)
    wait_until(lambda: queues.tasks(1)[0]["Status"] == "COMPLETED")
    assert [task["Status"] for task in queues.tasks()] == ["COMPLETED", "CANCELLED"]


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"SourceArn": "source"}, "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."),
        ({"SourceArn": "nobody"}, "ResourceNotFoundException", "SourceArn"),
        ({"DestinationArn": "nobody"}, "ResourceNotFoundException", "DestinationArn"),
        ({"DestinationArn": "dead"}, "InvalidParameterValue", "cannot be the same"),
        ({"DestinationArn": "not an arn"}, "InvalidParameterValue", "arn:<partition>:<service>"),
        ({"MaxNumberOfMessagesPerSecond": 0}, "InvalidParameterValue", "between 1 and 500"),
        ({"MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue", "between 1 and 500"),
    ],
)
def test_what_cannot_be_moved_is_refused_by_name(queues: Queues, change: dict[str, Any], code: str, said: str) -> None:
    arns = {"source": queues.arn(queues.source), "dead": queues.arn(queues.dead)}
    nobody = f"{arns['dead']}-nobody"
    values = {key: arns.get(value, nobody if value == "nobody" else value) for key, value in change.items()}
    found = refusal(queues.sqs.start_message_move_task, **{"SourceArn": arns["dead"], **values})
    assert found[0] == code
    assert said in found[1]


TAKING = ["sqs:StartMessageMoveTask", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


@pytest.mark.parametrize("missing", [*TAKING, "sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"])
def test_each_permission_that_a_move_takes_is_asked_for(
    aws: ClientFactory, make_role: RoleFactory, assume: Callable[[str], dict[str, Any]], missing: str
) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    queues = Queues(aws("sqs"), key=key)
    dead, source = queues.arn(queues.dead), queues.arn(queues.source)
    grants = {**dict.fromkeys(TAKING, dead), "sqs:SendMessage": source, "kms:Decrypt": key, "kms:GenerateDataKey": key}
    statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in grants.items()]
    whole = make_role(f"{queues.name}-whole", statements)
    partial = make_role(f"{queues.name}-part", [item for item in statements if item["Action"] != missing])
    code, message = refusal(aws("sqs", assume(partial)).start_message_move_task, SourceArn=dead)
    assert "AccessDenied" in code
    assert missing in message
    assert aws("sqs", assume(whole)).start_message_move_task(SourceArn=dead)["TaskHandle"]
