"""Ended reviews: duplicates, disorder, failures, disagreement; one label or a stated reason, and nothing lost half-way."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber
from review_fakes import LABELS, PREDICTION_ID, DeadLetters, FakeStore, prediction

from lambdas.common.consolidation import Plurality
from lambdas.common.observability import metrics
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import UnreadableOutput
from lambdas.review.a2i import A2iBackend
from lambdas.review.collect_review import handler as entry
from lambdas.review.collect_review.collect import Collected, Outcome, OutputMissing, Ports, collect
from lambdas.review.collect_review.result import InvalidEvent, LoopResult, LoopStatus

NOW = "2026-11-23T12:00:00+00:00"
OUTPUT = "s3://bucket/a2i/flow/2026/11/23/11/59/58/loop/output.json"
KEY = f"ground-truth/2026/11/23/11/{PREDICTION_ID}.jsonl"


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


@dataclass
class World:
    """The function's surroundings; ``outputs`` are read by URI."""

    store: FakeStore = field(default_factory=lambda: FakeStore.holding(prediction(), review_state="in_review"))
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    ground_truth: dict[str, bytes] = field(default_factory=dict)
    letters: DeadLetters = field(default_factory=DeadLetters)

    def read(self, uri: str) -> Mapping[str, Any]:
        if uri not in self.outputs:
            raise OutputMissing(uri)
        return self.outputs[uri]

    @property
    def ports(self) -> Ports:
        return Ports(self.store, A2iBackend.answers, Plurality(LABELS), self.read, self.ground_truth.__setitem__, self.letters)

    def deliver(self, one: dict[str, Any]) -> Collected:
        return collect(LoopResult.of_event(one), self.ports, now=NOW)

    @property
    def item(self) -> dict[str, Any]:
        return self.store.items[PREDICTION_ID]


def answered(*labels: str) -> World:
    return World(outputs={OUTPUT: output(*labels)})


def test_all_answers_make_the_label_and_the_ground_truth_line() -> None:
    world = answered("negative", "positive", "positive")
    collected = world.deliver(event())
    assert (collected.outcome, collected.agreement) == (Outcome.STORED, pytest.approx(2 / 3))
    assert (world.item["review_state"], world.item["human_label"], world.item["votes"]) == (
        "reviewed", "positive", {"negative": 1, "positive": 2},
    )  # fmt: skip
    assert (world.item["reviewed_at"], world.item["label_source"]) == (NOW, f"review:{PREDICTION_ID}")
    assert [answer.worker_id for answer in world.item["answers"]] == ["w0", "w1", "w2"]
    assert list(world.ground_truth) == [KEY]
    assert json.loads(world.ground_truth[KEY]) == {
        "groundTruthData": {"data": "positive", "encoding": "CSV"},
        "eventMetadata": {"eventId": PREDICTION_ID},
        "eventVersion": "0",
    }
    assert world.ground_truth[KEY].endswith(b"\n")


def test_three_reviewers_who_disagree_leave_a_reason_and_no_label() -> None:
    world = answered("negative", "neutral", "positive")
    assert world.deliver(event()).outcome is Outcome.UNDECIDED
    assert (world.item["review_state"], world.item["human_label"]) == ("reviewed", None)
    assert "tie" in world.item["review_outcome"]
    assert world.ground_truth == {}
    assert world.letters.sent == []


def test_the_same_event_again_changes_nothing() -> None:
    world = answered("positive")
    world.deliver(event())
    before = dict(world.item)
    assert world.deliver(event()).outcome is Outcome.DUPLICATE
    assert (world.item, world.store.writes, len(world.ground_truth)) == (before, 1, 1)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (event("Failed", uri=None, failureCode="Expired", failureReason="nobody came"), "review Failed: Expired: nobody came"),
        (event("Failed"), "review Failed: no reason given"),
        (event("Stopped", uri=None), "review Stopped: no reason given"),
        (event(uri=None), "review Completed without an output"),
        (event(), "review Completed without an answer"),
    ],
)
def test_a_review_without_an_answer_is_a_dead_letter_that_asks_again(one: dict[str, Any], reason: str) -> None:
    world = answered()
    assert world.deliver(one) == Collected(Outcome.FAILED, reason)
    assert (world.item["review_state"], world.item["review_outcome"]) == ("dead_lettered", reason)
    [(request, sent_reason)] = world.letters.sent
    assert (request.prediction_id, request.attempt, request.text, sent_reason) == (PREDICTION_ID, 2, "Not bad at all", reason)
    assert world.ground_truth == {}


def test_a_failure_twice_is_one_dead_letter() -> None:
    world = answered()
    world.deliver(event("Failed"))
    assert world.deliver(event("Failed")).outcome is Outcome.DUPLICATE
    assert len(world.letters.sent) == 1


def test_a_late_failure_of_an_old_attempt_does_not_touch_the_new_one() -> None:
    world = answered("positive")
    world.item.update(attempt=2)
    assert world.deliver(event("Failed")).outcome is Outcome.DUPLICATE
    assert (world.item["review_state"], world.letters.sent) == ("in_review", [])


def test_a_label_of_an_old_attempt_is_a_label() -> None:
    world = answered("positive")
    world.item.update(attempt=2)
    assert world.deliver(event()).outcome is Outcome.STORED


EVENTS = {
    "completed": event(),
    "completed again": event(),
    "failed": event("Failed"),
    "stopped": event("Stopped"),
}


@pytest.mark.parametrize("order", list(itertools.permutations(EVENTS)), ids=", ".join)
def test_whatever_the_order_the_answers_are_stored_once(order: tuple[str, ...]) -> None:
    world = answered("positive", "positive")
    for name in order:
        world.deliver(EVENTS[name])
    assert (world.item["review_state"], world.item["human_label"], world.store.writes) == ("reviewed", "positive", 1)
    assert len(world.letters.sent) <= 1
    assert len(world.ground_truth) == 1


@pytest.mark.parametrize("name", ["another-teams-loop", f"{'9' * 32}-1", "x"])
def test_an_unknown_loop_is_named_and_ignored(name: str) -> None:
    world = answered("positive")
    collected = world.deliver(event(name=name))
    assert collected.outcome is Outcome.UNKNOWN
    assert name.removesuffix("-1") in collected.reason
    assert (world.item["review_state"], world.letters.sent) == ("in_review", [])


def test_answers_that_are_not_readable_yet_keep_the_event() -> None:
    world = World()
    with pytest.raises(OutputMissing):
        world.deliver(event())
    assert world.item["review_state"] == "in_review"
    world.outputs[OUTPUT] = output("neutral")
    assert world.deliver(event()).outcome is Outcome.STORED


@pytest.mark.parametrize("broken", ["write_ground_truth", "store_label"])
def test_a_kill_half_way_is_finished_by_the_retry(broken: str) -> None:
    world = answered("positive")

    def killed(*_: Any, **__: Any) -> Any:
        raise OSError("killed")

    ports = world.ports
    if broken == "write_ground_truth":
        ports = replace(ports, write_ground_truth=killed)
    else:
        ports = replace(ports, store=SimpleNamespace(get=world.store.get, store_label=killed))
    with pytest.raises(OSError, match="killed"):
        collect(LoopResult.of_event(event()), ports, now=NOW)
    assert world.item["review_state"] == "in_review"
    world.deliver(event())
    assert (world.item["human_label"], list(world.ground_truth)) == ("positive", [KEY])


def test_a_kill_between_dead_letter_and_record_loses_nothing() -> None:
    world = answered()

    def killed(*_: Any, **__: Any) -> bool:
        raise OSError("killed")

    store = SimpleNamespace(get=world.store.get, mark_dead_lettered=killed)
    with pytest.raises(OSError, match="killed"):
        collect(LoopResult.of_event(event("Failed")), replace(world.ports, store=store), now=NOW)
    world.deliver(event("Failed"))
    assert world.item["review_state"] == "dead_lettered"
    assert {request.review_id for request, _ in world.letters.sent} == {f"{PREDICTION_ID}-2"}  # one name: asked once


def test_of_two_attempts_that_end_at_once_the_stored_label_is_the_line() -> None:
    world = answered("positive")
    stale = StoredPrediction.parse(world.item)
    world.item.update(review_state="reviewed", human_label="negative")
    items = iter([stale, StoredPrediction.parse(world.item)])
    store = SimpleNamespace(get=lambda _: next(items), store_label=world.store.store_label)
    collected = collect(LoopResult.of_event(event()), replace(world.ports, store=store), now=NOW)
    assert collected.outcome is Outcome.DUPLICATE
    assert json.loads(world.ground_truth[KEY])["groundTruthData"]["data"] == "negative"


def test_a_kill_between_the_line_and_its_correction_is_finished_by_the_retry() -> None:
    world = answered("positive")
    stale = StoredPrediction.parse(world.item)
    world.item.update(review_state="reviewed", human_label="negative")

    def reads() -> Iterator[StoredPrediction]:
        yield stale
        raise OSError("killed")

    items = reads()
    store = SimpleNamespace(get=lambda _: next(items), store_label=world.store.store_label)
    with pytest.raises(OSError, match="killed"):
        collect(LoopResult.of_event(event()), replace(world.ports, store=store), now=NOW)
    assert json.loads(world.ground_truth[KEY])["groundTruthData"]["data"] == "positive"
    assert world.deliver(event()).outcome is Outcome.DUPLICATE
    assert json.loads(world.ground_truth[KEY])["groundTruthData"]["data"] == "negative"


@pytest.mark.parametrize("content", [None, [], "x", {"humanAnswers": 3}])
def test_an_output_that_cannot_be_read_is_a_dead_letter_at_once_and_names_the_file(content: Any) -> None:
    """Raised, it would come back five times, and the record would say that people are still being asked."""
    world = answered()
    world.outputs[OUTPUT] = content
    collected = world.deliver(event())
    assert collected.outcome is Outcome.FAILED
    assert OUTPUT in collected.reason
    assert "humanAnswers" in collected.reason
    assert world.item["review_state"] == "dead_lettered"
    [(request, _)] = world.letters.sent
    assert request.attempt == 2


def test_odd_answers_among_good_ones_lose_nothing() -> None:
    world = answered("positive")
    odd = [None, "x", {"workerId": "\ud800", "answerContent": {"category": {"label": "\ud800"}}}, {"answerContent": []}]
    world.outputs[OUTPUT] = {"humanAnswers": [*odd, *output("positive")["humanAnswers"]]}
    assert world.deliver(event()).outcome is Outcome.STORED
    assert (world.item["human_label"], len(world.item["answers"]), world.item["votes"]) == ("positive", 5, {"positive": 1})


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
        LoopResult.of_event(broken)


def test_the_event_is_read_as_documented() -> None:
    result = LoopResult.of_event(event("Failed", uri=None, failureCode="E", failureReason="why"))
    assert result == LoopResult(f"{PREDICTION_ID}-1", LoopStatus.FAILED, "2026-11-23T11:59:59Z", None, "E: why")


# -- the handler -----------------------------------------------------------------------------------


def record(number: int, body: str) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": "r",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:review-results",
        "awsRegion": "us-east-1",
    }


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Any:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    environment = entry.Environment("table", "https://queue", "capture", LABELS)
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


def test_output_and_ground_truth_go_through_s3(s3: Stubber) -> None:
    body = json.dumps(output("positive")).encode()
    key = OUTPUT.removeprefix("s3://bucket/")
    s3.add_response("get_object", {"Body": StreamingBody(io.BytesIO(body), len(body))}, {"Bucket": "bucket", "Key": key})
    s3.add_response("put_object", {}, {"Bucket": "capture", "Key": KEY, "Body": b"{}\n", "ContentType": "application/jsonlines"})
    assert entry._read_output(OUTPUT) == output("positive")
    entry._write_ground_truth(KEY, b"{}\n")


def test_only_the_events_that_failed_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = answered("positive")
    monkeypatch.setattr(entry, "_ports", lambda: world.ports)
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    monkeypatch.setattr(metrics.provider, "service", "test")
    context = SimpleNamespace(
        function_name="f",
        memory_limit_in_mb=128,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
        aws_request_id="1",
    )
    batch = [record(1, "{"), record(2, json.dumps(event())), record(3, json.dumps(event(name="foreign")))]
    answer = entry.handler({"Records": batch}, context)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m1"]
    assert world.item["human_label"] == "positive"


def test_metrics_say_what_happened(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    world = answered("positive", "positive", "negative")
    monkeypatch.setattr(entry, "_ports", lambda: world.ports)
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    monkeypatch.setattr(metrics.provider, "service", "test")
    context = SimpleNamespace(
        function_name="f",
        memory_limit_in_mb=128,
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
        aws_request_id="1",
    )
    entry.handler({"Records": [record(1, json.dumps(event()))]}, context)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert printed[0]["LabelsStored"] == [1.0]
    assert printed[0]["HumanAgreement"] == [pytest.approx(2 / 3)]
