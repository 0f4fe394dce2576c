"""A2I as the review backend: requests that A2I takes, idempotent names, every answer read."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from review_fakes import LABELS, PREDICTION_ID, prediction
from service_models import problems

from lambdas.common.review import HumanAnswer, InvalidRequest, ReviewRefused, ReviewRequest, UnreadableOutput, parse_review_id
from lambdas.review.a2i import A2iBackend

FLOW = "arn:aws:sagemaker:us-east-1:123456789012:flow-definition/reviewloop-dev-review-0123456789ab"
LOOP = f"{PREDICTION_ID}-1"
REQUEST = prediction().review_request()
EXPECTED = {
    "HumanLoopName": LOOP,
    "FlowDefinitionArn": FLOW,
    "HumanLoopInput": {
        "InputContent": json.dumps({"text": "Not bad at all", "labels": list(LABELS), "predictionId": PREDICTION_ID, "attempt": 1})
    },
}
DESCRIBED = {
    "CreationTime": "2026-11-23T10:00:00Z",
    "HumanLoopStatus": "InProgress",
    "HumanLoopName": LOOP,
    "HumanLoopArn": f"arn:aws:sagemaker:us-east-1:123456789012:human-loop/{LOOP}",
    "FlowDefinitionArn": FLOW,
}


def backend() -> tuple[A2iBackend, Stubber]:
    client = boto3.client("sagemaker-a2i-runtime", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return A2iBackend(client, FLOW, LABELS), Stubber(client)


def test_a_loop_is_started_under_the_name_of_prediction_and_attempt() -> None:
    a2i, stub = backend()
    stub.add_response("start_human_loop", {"HumanLoopArn": DESCRIBED["HumanLoopArn"]}, EXPECTED)
    with stub:
        assert a2i.start(REQUEST) == LOOP
    stub.assert_no_pending_responses()
    assert problems("sagemaker-a2i-runtime", "StartHumanLoop", EXPECTED) == []


def test_a_conflict_is_the_loop_that_runs_already() -> None:
    a2i, stub = backend()
    stub.add_client_error("start_human_loop", "ConflictException")
    stub.add_response("describe_human_loop", DESCRIBED, {"HumanLoopName": LOOP})
    with stub:
        assert a2i.start(REQUEST) == LOOP
    stub.assert_no_pending_responses()


def test_a_conflict_without_a_loop_is_not_taken_for_a_start() -> None:
    a2i, stub = backend()
    stub.add_client_error("start_human_loop", "ConflictException")
    stub.add_client_error("describe_human_loop", "ResourceNotFoundException")
    with stub, pytest.raises(ClientError, match="ResourceNotFoundException"):
        a2i.start(REQUEST)


def test_an_invalid_input_is_refused_for_good_with_a2is_words() -> None:
    a2i, stub = backend()
    stub.add_client_error("start_human_loop", "ValidationException", "InputContent is too large")
    with stub, pytest.raises(ReviewRefused, match=f"{LOOP}: InputContent is too large"):
        a2i.start(REQUEST)


@pytest.mark.parametrize("code", ["ThrottlingException", "ServiceQuotaExceededException", "InternalServerException"])
def test_what_may_pass_is_raised_as_it_is(code: str) -> None:
    a2i, stub = backend()
    stub.add_client_error("start_human_loop", code)
    with stub, pytest.raises(ClientError, match=code):
        a2i.start(REQUEST)


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
    read = A2iBackend.answers(output)
    assert [(one.worker_id, one.label) for one in read] == [
        ("a", "positive"), ("b", None), ("c", None), ("d", None), ("e", None), ("f", "neutral"),
    ]  # fmt: skip
    assert [one.seconds for one in read] == [4.5, 4.5, 4.5, 4.5, 4.5, 0.0]


@pytest.mark.parametrize("output", [{}, {"humanAnswers": []}, {"humanAnswers": None}])
def test_no_answers_are_no_answers(output: dict[str, Any]) -> None:
    assert A2iBackend.answers(output) == []


@pytest.mark.parametrize("output", [None, [], "x", 3, {"humanAnswers": "x"}, {"humanAnswers": {"a": 1}}, {"humanAnswers": 3}])
def test_an_output_of_another_form_is_named(output: Any) -> None:
    with pytest.raises(UnreadableOutput, match="humanAnswers"):
        A2iBackend.answers(output)


@pytest.mark.parametrize("answer", [
    None, 3, "x", [], {}, {"answerContent": "x"}, {"answerContent": {"category": [1]}}, {"answerContent": {"category": {"label": ["a"]}}},
    {"workerId": 3, "timeSpentInSeconds": "long"}, {"timeSpentInSeconds": -1}, {"timeSpentInSeconds": 10**400},
    {"timeSpentInSeconds": True},
])  # fmt: skip
def test_an_odd_answer_is_counted_and_has_no_label(answer: Any) -> None:
    good = {"workerId": "g", "answerContent": {"category": {"label": "positive"}}, "timeSpentInSeconds": 2}
    assert A2iBackend.answers({"humanAnswers": [answer, good]}) == [HumanAnswer("unknown", None, 0.0), HumanAnswer("g", "positive", 2.0)]


def test_what_is_kept_of_an_answer_fits_every_store() -> None:
    odd = {"workerId": "w\ud800\0", "answerContent": {"category": {"label": "x\ud83d" + "y" * 10_000}}}
    [read] = A2iBackend.answers({"humanAnswers": [odd]})
    assert read.worker_id == "w\ufffd\ufffd"
    assert read.label == "x\ufffd" + "y" * 198


# -- the request and its id ------------------------------------------------------------------------


def test_a_request_without_origin_is_valid() -> None:
    body = {"prediction_id": PREDICTION_ID, "text": "t", "predicted_label": "neutral", "confidence": 0.5, "reason": "audit_sample"}
    request = ReviewRequest.from_json(json.dumps(body))
    assert (request.attempt, request.origin) == (1, None)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"prediction_id": "UPPER"}, "prediction_id"),
        ({"prediction_id": "-a"}, "prediction_id"),
        ({"prediction_id": "a" * 62}, "longer than 63"),
        ({"attempt": 0}, "attempt 0"),
        ({"reason": "boredom"}, "boredom"),
        ({"confidence": "high"}, "high"),
        ({"text": ...}, "text"),
        ({"text": 3}, "text must be a string"),
        ({"text": "a\ud800"}, "U\\+D800"),
        ({"text": " "}, "text is empty"),
        ({"confidence": "nan"}, "confidence nan"),
        ({"confidence": 1.5}, "confidence 1.5"),
        ({"origin": {"variant": "champion"}}, "missing"),
    ],
)
def test_a_message_that_is_no_request_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    body = {key: value for key, value in {**json.loads(REQUEST.to_json()), **change}.items() if value is not ...}
    with pytest.raises(InvalidRequest, match=named):
        ReviewRequest.from_json(json.dumps(body))


@pytest.mark.parametrize("body", ["", "not json", "[]", "3", "null", "[" * 100_000])
def test_a_message_that_is_no_object_is_refused(body: str) -> None:
    with pytest.raises(InvalidRequest):
        ReviewRequest.from_json(body)


@pytest.mark.parametrize(
    ("review_id", "parts"),
    [
        (LOOP, (PREDICTION_ID, 1)),
        ("a-b-12", ("a-b", 12)),
        ("someone-elses-loop", None),
        ("abc-0", None),
        ("abc", None),
        ("-1", None),
        ("", None),
    ],
)
def test_review_ids_are_taken_apart_or_known_as_foreign(review_id: str, parts: tuple[str, int] | None) -> None:
    assert parse_review_id(review_id) == parts
