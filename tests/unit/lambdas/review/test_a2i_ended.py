"""A2I's events become messages of the review port: every answer read, every failure named, nothing taken for an answer that is none."""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from review_fakes import CONTEXT, LABELS, NAMED, PREDICTION_ID

from contracts.labels import CANNOT_TELL
from lambdas.common.observability import metrics
from lambdas.common.review import HumanAnswer
from lambdas.review.a2i_ended import handler as entry
from lambdas.review.a2i_ended.event import HumanLoopEnded, InvalidEvent, review_ended
from lambdas.review.output import OutputMissing, UnreadableOutput, answers
from lambdas.review.port import ReviewEnded, ReviewStatus

OUTPUT = "s3://bucket/a2i/flow/2026/11/23/11/59/58/loop/output.json"
ENDED_AT = "2026-11-23T11:59:59Z"


def event(status: str = "Completed", *, name: str = f"{PREDICTION_ID}-1", uri: str | None = OUTPUT, **detail: Any) -> dict[str, Any]:
    """The EventBridge event in A2I's documented form."""
    return {
        "version": "0",
        "id": "e1",
        "detail-type": "SageMaker A2I HumanLoop Status Change",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": "2026-11-23T11:59:59Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:sagemaker:us-east-1:123456789012:human-loop/{name}"],
        "detail": {
            "creationTime": "2026-11-23T11:00:00.000Z",
            "failureCode": None,
            "failureReason": None,
            "flowDefinitionArn": "arn:aws:sagemaker:us-east-1:123456789012:flow-definition/f",
            "humanLoopArn": f"arn:aws:sagemaker:us-east-1:123456789012:human-loop/{name}",
            "humanLoopName": name,
            "humanLoopOutput": {"outputS3Uri": uri} if uri else None,
            "humanLoopStatus": status,
            **detail,
        },
    }


def output(*labels: str) -> dict[str, Any]:
    return {
        "humanLoopName": f"{PREDICTION_ID}-1",
        "humanAnswers": [
            {"workerId": f"w{number}", "answerContent": {"category": {"label": label}}, "timeSpentInSeconds": 2.0}
            for number, label in enumerate(labels)
        ],
    }


def nothing(uri: str) -> Any:
    raise OutputMissing(uri)


def ended(one: dict[str, Any], content: Any = None) -> ReviewEnded:
    return review_ended(HumanLoopEnded.of_event(one), lambda uri: {OUTPUT: content}[uri])


def test_a_completed_loop_has_the_answers_of_its_output() -> None:
    given = (HumanAnswer("w0", "positive", 2.0), HumanAnswer("w1", "negative", 2.0))
    message = ended(event(), output("positive", "negative"))
    assert message == ReviewEnded(f"{PREDICTION_ID}-1", ReviewStatus.COMPLETED, ENDED_AT, given)
    assert ReviewEnded.from_json(message.to_json()) == message


@pytest.mark.parametrize(
    ("one", "status", "failure"),
    [
        (event("Failed", uri=None, failureCode="Expired", failureReason="nobody came"), "failed", "Expired: nobody came"),
        (event("Failed"), "failed", "no reason given"),
        (event("Stopped", uri=None), "stopped", "no reason given"),
        (event(uri=None), "completed", "there is no output.json"),
    ],
)
def test_a_loop_without_answers_says_why(one: dict[str, Any], status: str, failure: str) -> None:
    message = ended(one)
    assert (message.status.value, message.answers, message.failure, message.ended_at) == (status, None, failure, ENDED_AT)


def test_nobody_answered_is_no_failure_to_read() -> None:
    assert (ended(event(), output()).answers, ended(event(), output()).failure) == ((), None)


def test_answers_that_are_not_readable_yet_keep_the_event() -> None:
    with pytest.raises(OutputMissing):
        review_ended(HumanLoopEnded.of_event(event()), nothing)


@pytest.mark.parametrize("content", [None, [], "x", {"humanAnswers": 3}])
def test_an_output_that_cannot_be_read_is_a_failure_at_once_and_names_the_file(content: Any) -> None:
    """Raised, it would come back five times, and the record would say that people are still being asked."""
    message = ended(event(), content)
    assert message.answers is None
    assert f"{OUTPUT} cannot be read: " in (message.failure or "")
    assert "humanAnswers" in (message.failure or "")


def test_odd_answers_among_good_ones_lose_nothing() -> None:
    odd = [None, "x", {"workerId": "\ud800", "answerContent": {"category": {"label": "\ud800"}}}, {"answerContent": []}]
    message = ended(event(), {"humanAnswers": [*odd, *output("positive")["humanAnswers"]]})
    read = ReviewEnded.from_json(message.to_json()).answers or ()
    assert [one.label for one in read] == [None, None, "\ufffd", None, "positive"]


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"detail": None},
        {**event(), "time": "yesterday"},
        {**event(), "time": 3},
        {"detail": {}},
        {**event(), "detail": {**event()["detail"], "humanLoopStatus": "Paused"}},
        {"detail": []},
    ],
)
def test_what_is_no_a2i_event_is_kept_and_named(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent):
        review_ended(HumanLoopEnded.of_event(broken), nothing)


def test_every_answer_is_read_and_an_unreadable_one_has_no_label() -> None:
    def answer(worker: str, content: Any) -> dict[str, Any]:
        return {"workerId": worker, "answerContent": content, "timeSpentInSeconds": 4.5}

    output = {
        "humanAnswers": [
            answer("a", {"category": {"label": "positive"}}),
            answer("b", {"category": {}}),
            answer("c", {}),
            answer("d", None),
            answer("e", {"category": {"label": 3}}),
            {"workerId": "f", "answerContent": {"category": {"label": "neutral"}}},
        ]
    }
    read = answers(output)
    assert [(one.worker_id, one.label) for one in read] == [
        ("a", "positive"), ("b", None), ("c", None), ("d", None), ("e", None), ("f", "neutral"),
    ]  # fmt: skip
    assert [one.seconds for one in read] == [4.5, 4.5, 4.5, 4.5, 4.5, 0.0]


@pytest.mark.parametrize(
    ("shown", "label"), [("Sehr gut!", "positive"), ("positive", "positive"), ("neutral", "neutral"), ("unknown", "unknown")]
)
def test_what_people_saw_becomes_the_id_that_the_task_was_made_with(shown: str, label: str) -> None:
    [read] = answers({**output(shown), "inputContent": {"text": "x", **NAMED.task_fields()}})
    assert read.label == label


@pytest.mark.parametrize("offered", [True, False])
def test_cannot_tell_is_an_answer_where_the_task_offered_it(offered: bool) -> None:
    [read] = answers({**output(CANNOT_TELL), "inputContent": {"text": "x", **NAMED.offering(offered).task_fields()}})
    assert read.label == (CANNOT_TELL if offered else None)


@pytest.mark.parametrize(
    "content", [None, "x", {}, {"labels": "x"}, {"labels": ["a"], "labelIds": []}, {"labels": [1]}, {"labels": list(LABELS)}]
)
def test_an_answer_to_a_task_of_before_there_were_names_is_an_id_already(content: Any) -> None:
    [read] = answers({**output("positive"), "inputContent": content})
    assert read.label == "positive"


@pytest.mark.parametrize("output", [{}, {"humanAnswers": []}, {"humanAnswers": None}])
def test_no_answers_are_no_answers(output: dict[str, Any]) -> None:
    assert answers(output) == ()


@pytest.mark.parametrize("output", [None, [], "x", 3, {"humanAnswers": "x"}, {"humanAnswers": {"a": 1}}, {"humanAnswers": 3}])
def test_an_output_of_another_form_is_named(output: Any) -> None:
    with pytest.raises(UnreadableOutput, match="humanAnswers"):
        answers(output)


@pytest.mark.parametrize("answer", [
    None, 3, "x", [], {}, {"answerContent": "x"}, {"answerContent": {"category": [1]}}, {"answerContent": {"category": {"label": ["a"]}}},
    {"workerId": 3, "timeSpentInSeconds": "long"}, {"timeSpentInSeconds": -1}, {"timeSpentInSeconds": 10**400},
    {"timeSpentInSeconds": True},
])  # fmt: skip
def test_an_odd_answer_is_counted_and_has_no_label(answer: Any) -> None:
    good = {"workerId": "g", "answerContent": {"category": {"label": "positive"}}, "timeSpentInSeconds": 2}
    assert answers({"humanAnswers": [answer, good]}) == (HumanAnswer("unknown", None, 0.0), HumanAnswer("g", "positive", 2.0))


def test_what_is_kept_of_an_answer_fits_every_store() -> None:
    odd = {"workerId": "w\ud800\0", "answerContent": {"category": {"label": "x\ud83d" + "y" * 10_000}}}
    [read] = answers({"humanAnswers": [odd]})
    assert read.worker_id == "w\ufffd\ufffd"
    assert read.label == "x\ufffd" + "y" * 198


# -- the handler -----------------------------------------------------------------------------------


def record(number: int, body: str) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": "r",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:a2i-ended",
        "awsRegion": "us-east-1",
    }


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Any:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    environment = entry.Environment("https://results")
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    monkeypatch.setattr(entry, "client", lambda service: client)
    with Stubber(client) as stub:
        yield stub
    stub.assert_no_pending_responses()


def test_a_missing_output_is_told_apart_from_other_errors(s3: Stubber) -> None:
    s3.add_client_error("get_object", "NoSuchKey")
    with pytest.raises(OutputMissing, match=OUTPUT):
        entry._read_output(OUTPUT)


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b"[" * 100_000, b'{"a": NaN}', b'{"a": 1, "a": 2}'])
def test_an_output_that_is_not_json_is_told_apart_too(s3: Stubber, body: bytes) -> None:
    key = OUTPUT.removeprefix("s3://bucket/")
    s3.add_response("get_object", {"Body": StreamingBody(io.BytesIO(body), len(body))}, {"Bucket": "bucket", "Key": key})
    with pytest.raises(UnreadableOutput):
        entry._read_output(OUTPUT)


@pytest.mark.parametrize("uri", ["", "http://a/b", "s3://bucket", "s3://bucket/"])
def test_an_address_that_is_none_is_told_apart_too(s3: Stubber, uri: str) -> None:
    with pytest.raises(UnreadableOutput, match="S3 URI"):
        entry._read_output(uri)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []

    class Queue:
        def send_message(self, **request: Any) -> None:
            if "refused" in request["MessageBody"]:
                raise OSError("the queue is away")
            messages.append(request)

    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("https://results"))
    monkeypatch.setattr(entry, "client", lambda service: Queue())
    monkeypatch.setattr(entry, "_read_output", lambda uri: output("positive") if uri == OUTPUT else nothing(uri))
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    monkeypatch.setattr(metrics.provider, "service", "test")
    return messages


def test_only_the_events_that_failed_come_back_and_the_others_are_sent_on(sent: list[dict[str, Any]]) -> None:
    events = [event(), event(uri="s3://bucket/later"), event("Failed", uri=None, failureReason="refused"), event("Stopped", uri=None)]
    batch = [record(0, "{"), *(record(number, json.dumps(one)) for number, one in enumerate(events, start=1))]
    answer = entry.handler({"Records": batch}, CONTEXT)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m0", "m2", "m3"]
    assert [one["QueueUrl"] for one in sent] == ["https://results"] * 2
    assert [ReviewEnded.from_json(one["MessageBody"]).status.value for one in sent] == ["completed", "stopped"]


def test_an_event_that_comes_twice_gives_the_same_message(sent: list[dict[str, Any]]) -> None:
    entry.handler({"Records": [record(1, json.dumps(event())), record(2, json.dumps(event()))]}, CONTEXT)
    first, second = sent
    assert first == second
