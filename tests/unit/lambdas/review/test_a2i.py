"""A2I as the review backend: requests that A2I takes, idempotent names."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from review_fakes import NAMED, PREDICTION_ID, prediction
from service_models import problems

from lambdas.common.review import InvalidRequest, ReviewRequest, parse_review_id
from lambdas.review.a2i import LONGEST_NAME, A2iStarter
from lambdas.review.port import ReviewRefused

FLOW = "arn:aws:sagemaker:us-east-1:123456789012:flow-definition/reviewloop-dev-review-0123456789ab"
LOOP = f"{PREDICTION_ID}-1"
REQUEST = prediction().review_request()
EXPECTED = {
    "HumanLoopName": LOOP,
    "FlowDefinitionArn": FLOW,
    "HumanLoopInput": {
        "InputContent": json.dumps(
            {
                "text": "Not bad at all",
                "labels": ["悪い", "neutral", "Sehr gut!"],
                "labelIds": ["negative", "neutral", "positive"],
                "predictionId": PREDICTION_ID,
                "attempt": 1,
            },
            ensure_ascii=False,
        )
    },
}
DESCRIBED = {
    "CreationTime": "2026-11-23T10:00:00Z",
    "HumanLoopStatus": "InProgress",
    "HumanLoopName": LOOP,
    "HumanLoopArn": f"arn:aws:sagemaker:us-east-1:123456789012:human-loop/{LOOP}",
    "FlowDefinitionArn": FLOW,
}


def backend() -> tuple[A2iStarter, Stubber]:
    client = boto3.client("sagemaker-a2i-runtime", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return A2iStarter(client, FLOW, NAMED), Stubber(client)


def test_a_loop_is_started_under_the_name_of_prediction_and_attempt() -> None:
    a2i, stub = backend()
    stub.add_response("start_human_loop", {"HumanLoopArn": DESCRIBED["HumanLoopArn"]}, EXPECTED)
    with stub:
        a2i.start(REQUEST)
    stub.assert_no_pending_responses()
    assert problems("sagemaker-a2i-runtime", "StartHumanLoop", EXPECTED) == []


def test_a_conflict_is_the_loop_that_runs_already() -> None:
    a2i, stub = backend()
    stub.add_client_error("start_human_loop", "ConflictException")
    stub.add_response("describe_human_loop", DESCRIBED, {"HumanLoopName": LOOP})
    with stub:
        a2i.start(REQUEST)
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


def test_a_name_that_a2i_would_not_take_is_refused_before_anybody_is_asked() -> None:
    a2i, stub = backend()
    with stub:
        for prediction_id in ("a" * (LONGEST_NAME - len("-1") + 1), "a" * 100):
            with pytest.raises(ReviewRefused, match="more than 63 characters"):
                a2i.start(replace(REQUEST, prediction_id=prediction_id))


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
        ({"prediction_id": "a" * 101}, "1 to 100 lower-case letters"),
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
