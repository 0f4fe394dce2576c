"""Event source mappings of a table's stream, as Lambda delivers them: batches, filters, tries in halves, dead letters, grants."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from embedded_aws.testing.fixtures import ClientFactory, RoleFactory

HANDLER = """
import boto3, json, os

def handler(event, context):
    ids = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
    poison = [one for one in ids if one.startswith("poison")]
    boto3.resource("dynamodb").Table(os.environ["CALLS"]).put_item(
        Item={"id": context.aws_request_id, "ids": ids, "events": [record["eventName"] for record in event["Records"]]}
    )
    if poison and os.environ["PARTIAL"]:
        first = next(r for r in event["Records"] if r["dynamodb"]["Keys"]["id"]["S"] == poison[0])
        return {"batchItemFailures": [{"itemIdentifier": first["dynamodb"]["SequenceNumber"]}]}
    if poison:
        raise ValueError(f"cannot take {poison}")
"""
READS = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:ListStreams"]


class Stream:
    """A table with a stream, a function that fails on every ``poison...``, its dead letters."""

    def __init__(self, aws: ClientFactory, make_role: RoleFactory, *, reads: list[str], partial: bool = False) -> None:
        self.aws, self.name = aws, f"stream-{uuid.uuid4().hex[:8]}"
        self.calls = f"{self.name}-calls"
        key = {
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
        stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        made = aws("dynamodb").create_table(TableName=self.name, StreamSpecification=stream, **key)["TableDescription"]
        aws("dynamodb").create_table(TableName=self.calls, **key)
        self.arn = made["LatestStreamArn"]
        self.queue = aws("sqs").create_queue(QueueName=self.name)["QueueUrl"]
        self.queue_arn = aws("sqs").get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.role = f"{self.name}-role"
        statements = [
            {"Effect": "Allow", "Action": ["logs:*", "dynamodb:PutItem", "sqs:SendMessage"], "Resource": "*"},
            *([{"Effect": "Allow", "Action": reads, "Resource": self.arn}] if reads else []),
        ]
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", HANDLER)
        aws("lambda").create_function(
            FunctionName=self.name, Runtime="python3.11", Handler="index.handler", Timeout=30,
            Role=make_role(self.role, statements, ["lambda.amazonaws.com"]), Code={"ZipFile": archive.getvalue()},
            Environment={"Variables": {"CALLS": self.calls, "PARTIAL": "yes" if partial else ""}},
        )  # fmt: skip

    def map(self, **options: Any) -> str:
        identifier: str = self.aws("lambda").create_event_source_mapping(
            FunctionName=self.name,
            EventSourceArn=self.arn,
            StartingPosition="TRIM_HORIZON",
            DestinationConfig={"OnFailure": {"Destination": self.queue_arn}},
            **options,
        )["UUID"]
        return identifier

    def put(self, *ids: str) -> None:
        for one in ids:
            self.aws("dynamodb").put_item(TableName=self.name, Item={"id": {"S": one}})

    def batches(self) -> list[list[str]]:
        """What the function was invoked with, in no order."""
        items = self.aws("dynamodb").scan(TableName=self.calls)["Items"]
        return [[one["S"] for one in item["ids"]["L"]] for item in items]

    def seen(self) -> set[str]:
        return {one for batch in self.batches() for one in batch}

    def letters(self) -> list[dict[str, Any]]:
        found = self.aws("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        return [json.loads(letter["Body"]) for letter in found]


@pytest.fixture
def stream(aws: ClientFactory, make_role: RoleFactory) -> Iterator[Callable[..., Stream]]:
    made: list[Stream] = []

    def make(**options: Any) -> Stream:
        made.append(Stream(aws, make_role, **{"reads": READS, **options}))
        return made[-1]

    yield make
    for one in made:
        for mapping in aws("lambda").list_event_source_mappings(FunctionName=one.name)["EventSourceMappings"]:
            aws("lambda").delete_event_source_mapping(UUID=mapping["UUID"])


def test_records_wait_for_one_another_within_the_window_and_a_full_batch_does_not(
    stream: Callable[..., Stream], wait_until: Callable[..., Any]
) -> None:
    one = stream()
    one.map(BatchSize=3, MaximumBatchingWindowInSeconds=50)  # a second here
    one.put("a", "b", "c", "d")
    wait_until(lambda: one.seen() == {"a", "b", "c", "d"})
    assert sorted(one.batches()) == [["a", "b", "c"], ["d"]]


def test_what_a_filter_leaves_out_is_passed_over(stream: Callable[..., Stream], wait_until: Callable[..., Any]) -> None:
    one = stream()
    pattern = json.dumps({"eventName": ["INSERT"], "dynamodb": {"Keys": {"id": {"S": ["a", "c"]}}}})
    one.map(FilterCriteria={"Filters": [{"Pattern": pattern}]})
    one.put("a", "b", "a", "c")
    wait_until(lambda: one.seen() == {"a", "c"})
    assert sorted(id for batch in one.batches() for id in batch) == ["a", "c"]


def test_a_batch_that_fails_is_halved_until_only_the_poison_fails_and_that_ends_among_the_dead_letters(
    stream: Callable[..., Stream], wait_until: Callable[..., Any]
) -> None:
    one = stream()
    one.put("a", "b", "poison", "c", "d")
    one.map(BatchSize=10, BisectBatchOnFunctionError=True, MaximumRetryAttempts=1)
    one.put("e")
    wait_until(lambda: {"a", "b", "c", "d", "e"} <= {id for batch in one.batches() if "poison" not in batch for id in batch})
    (letter,) = wait_until(one.letters)
    assert letter["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 1
    assert one.batches().count(["poison"]) == 2, "the first try and one retry"


def test_without_halves_the_whole_batch_is_given_up(stream: Callable[..., Stream], wait_until: Callable[..., Any]) -> None:
    one = stream()
    one.put("a", "poison")
    one.map(MaximumRetryAttempts=0)
    (letter,) = wait_until(one.letters)
    assert letter["DDBStreamBatchInfo"]["batchSize"] == 2
    assert one.batches() == [["a", "poison"]]


def test_a_record_that_grows_too_old_is_given_up_and_what_came_later_is_delivered(
    stream: Callable[..., Stream], wait_until: Callable[..., Any]
) -> None:
    one = stream()
    one.put("poison")
    one.map(MaximumRecordAgeInSeconds=200)  # 4 s here, and a second more, since a record's time is whole
    letters = wait_until(one.letters)
    assert [letter["requestContext"]["condition"] for letter in letters] == ["MaxRecordAgeExceeded"]
    one.put("later")
    wait_until(lambda: "later" in one.seen())


def test_a_function_may_name_where_its_failures_begin(stream: Callable[..., Stream], wait_until: Callable[..., Any]) -> None:
    one = stream(partial=True)
    one.put("a", "b", "poison", "c")
    one.map(FunctionResponseTypes=["ReportBatchItemFailures"], MaximumRetryAttempts=0)
    wait_until(one.letters)
    assert sorted(one.batches()) == [["a", "b", "poison", "c"], ["poison", "c"]]


@pytest.mark.parametrize("missing", READS)
def test_a_role_that_may_not_read_the_stream_gets_nothing_and_all_of_it_once_it_may(
    missing: str, stream: Callable[..., Stream], aws: ClientFactory, wait_until: Callable[..., Any]
) -> None:
    one = stream(reads=[action for action in READS if action != missing])
    one.put("a")
    mapping = one.map()
    result = wait_until(lambda: aws("lambda").get_event_source_mapping(UUID=mapping)["LastProcessingResult"].partition("PROBLEM: ")[2])
    assert missing in result
    assert one.batches() == []
    statement = {"Effect": "Allow", "Action": missing, "Resource": one.arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws("iam").put_role_policy(RoleName=one.role, PolicyName="missing", PolicyDocument=document)
    wait_until(lambda: one.batches() == [["a"]])


def test_a_failing_mapping_keeps_no_other_source_waiting(stream: Callable[..., Stream], wait_until: Callable[..., Any]) -> None:
    stuck, other = stream(), stream()
    stuck.put("poison")
    stuck.map()
    wait_until(stuck.batches)
    other.put("a")
    other.map()
    wait_until(lambda: other.batches() == [["a"]])


def test_the_age_of_what_is_delivered_is_a_metric(
    stream: Callable[..., Stream], aws: ClientFactory, wait_until: Callable[..., Any]
) -> None:
    one = stream()
    one.map()
    one.put("a")
    wait_until(one.batches)
    dimensions = [{"Name": "FunctionName", "Value": one.name}]
    found = aws("cloudwatch").list_metrics(Namespace="AWS/Lambda", MetricName="IteratorAge", Dimensions=dimensions)["Metrics"]
    assert len(found) == 1
