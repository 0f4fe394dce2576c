"""The predict function from event to answer: what the model, the table and the queue can do to it, and what the caller sees."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from lambdas.common.experiment import Experiment
from lambdas.common.observability import metrics
from lambdas.common.predictions import Prediction
from lambdas.common.review import ReviewRequest
from lambdas.prediction.predict import handler as entry

ANSWER = {
    "label": "positive", "confidence": 0.91, "probabilities": {"negative": 0.03, "neutral": 0.06, "positive": 0.91},
    "model_version": "tuning-1", "review_threshold": 0.62, "tokens": 12, "oov_tokens": 1,
}  # fmt: skip
UNSURE = {**ANSWER, "confidence": 0.41}
CONTEXT = SimpleNamespace(function_name="predict", memory_limit_in_mb=512, invoked_function_arn="arn:aws:lambda:x", aws_request_id="r")


def refused(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Any")


@dataclass
class Store:
    """``problem`` is raised instead of storing; ``fresh`` False is what a repeated write gets."""

    problem: Exception | None = None
    fresh: bool = True
    stored: list[Prediction] = field(default_factory=list)

    def put(self, prediction: Prediction) -> bool:
        if self.problem:
            raise self.problem
        self.stored.append(prediction)
        return self.fresh


@dataclass
class Queue:
    problem: Exception | None = None
    sent: list[dict[str, str]] = field(default_factory=list)

    def send_message(self, **request: str) -> dict[str, str]:
        if self.problem:
            raise self.problem
        self.sent.append(request)
        return {"MessageId": "m"}


@dataclass
class Function:
    """The function with its surroundings; ``call`` gives the answer with its body parsed, and keeps the metrics."""

    runtime: Stubber
    experiment: Experiment | None = None
    store: Store = field(default_factory=Store)
    queue: Queue = field(default_factory=Queue)
    counted: dict[str, Any] = field(default_factory=dict)

    def model_answers(self, document: Any, variant: str = "challenger", *, target: str | None = None) -> Function:
        raw = document if isinstance(document, bytes) else json.dumps([document]).encode()
        response = {
            "Body": StreamingBody(io.BytesIO(raw), len(raw)),
            "InvokedProductionVariant": variant,
            "ContentType": "application/json",
        }
        expected = {
            "EndpointName": "reviewloop-dev", "ContentType": "application/json", "Accept": "application/json",
            "InferenceId": ANY, "Body": ANY, **({"TargetVariant": target} if target else {}),
        }  # fmt: skip
        self.runtime.add_response("invoke_endpoint", response, expected)
        return self

    def model_refuses(self, code: str, status: int) -> Function:
        self.runtime.add_client_error("invoke_endpoint", code, "no", status)
        return self

    def call(self, body: str | None = '{"text": "Not bad at all"}') -> tuple[int, dict[str, Any], dict[str, str]]:
        captured = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdout", captured)
            answer = entry.handler({"body": body}, CONTEXT)
        lines = [json.loads(line) for line in captured.getvalue().splitlines() if '"_aws"' in line]
        self.counted = {key: value[0] for line in lines for key, value in line.items() if isinstance(value, list)}
        assert answer["headers"]["Content-Type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    environment = entry.Environment("reviewloop-dev", "predictions", 100, 0.0, 90, review_queue_url="https://sqs/queue")
    runtime = boto3.client("sagemaker-runtime", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(runtime)
    stubber.activate()
    made = Function(stubber)
    monkeypatch.setattr(metrics, "namespace", "Test")
    monkeypatch.setattr(metrics, "service", "predict")
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    monkeypatch.setattr(entry, "_runtime", lambda _: runtime)
    monkeypatch.setattr(entry, "_store", lambda: made.store)
    monkeypatch.setattr(entry, "_sqs", lambda: made.queue)
    monkeypatch.setattr(entry, "_experiments", lambda: SimpleNamespace(begin=lambda: None, get=lambda: made.experiment))
    return made


def test_a_sure_answer_is_stored_and_asks_nobody(function: Function) -> None:
    status, body, _ = function.model_answers(ANSWER).call('{"text": "Not bad at all", "subject": "product 7"}')
    assert status == 200
    (stored,) = function.store.stored
    assert body == {
        "prediction_id": stored.prediction_id, "label": "positive", "label_name": "positive", "confidence": 0.91,
        "probabilities": ANSWER["probabilities"],
        "variant": "challenger", "model_version": "tuning-1", "review": {"status": "not_required"},
    }  # fmt: skip
    assert (stored.text, stored.subject, stored.review_state.value, stored.review_reason) == (
        "Not bad at all", "product 7", "not_required", None,
    )  # fmt: skip
    assert function.queue.sent == []
    assert function.counted == {"Requests": 1.0, "Predictions": 1.0}


@pytest.mark.parametrize("truncated", [True, False])
def test_the_caller_learns_whether_the_model_read_all_of_the_text(function: Function, *, truncated: bool) -> None:
    _, body, _ = function.model_answers({**ANSWER, "truncated": truncated}).call()
    assert body["truncated"] is truncated


def test_the_caller_sees_the_labels_name_and_the_record_its_id(function: Function) -> None:
    status, body, _ = function.model_answers({**ANSWER, "label_name": "Sehr gut!"}).call('{"text": "Not bad at all"}')
    assert (status, body["label"], body["label_name"]) == (200, "positive", "Sehr gut!")
    (stored,) = function.store.stored
    assert stored.label == "positive"


def test_an_unsure_answer_goes_to_people_with_all_that_its_record_holds(function: Function) -> None:
    status, body, _ = function.model_answers(UNSURE).call()
    (stored,), (sent,) = function.store.stored, function.queue.sent
    request = ReviewRequest.from_json(sent["MessageBody"])
    assert status == 200
    assert body["review"] == {"status": "requested", "reason": "low_confidence", "review_id": f"{stored.prediction_id}-1"}
    assert sent["QueueUrl"] == "https://sqs/queue"
    assert request == stored.review_request()
    assert Prediction.of_request(request) == stored
    assert function.counted == {"Requests": 1.0, "Predictions": 1.0, "ReviewsAskedFor": 1.0}


def test_with_a_budget_an_unsure_answer_waits_in_the_table_alone(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = replace(entry._environment(), daily_budget=10)
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    _, body, _ = function.model_answers(UNSURE).call()
    (stored,) = function.store.stored
    assert body["review"] == {"status": "waiting", "reason": "low_confidence"}
    assert (stored.review_state.value, stored.item()["open_state"], function.queue.sent) == ("waiting", "waiting", [])


def test_with_a_budget_an_answer_that_cannot_be_stored_is_queued(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = replace(entry._environment(), daily_budget=10)
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    function.store.problem = refused("ThrottlingException", 400)
    _, body, _ = function.model_answers(UNSURE).call()
    assert (body["review"]["status"], len(function.queue.sent)) == ("requested", 1)


@pytest.mark.parametrize(("setting", "stored"), [("model", 0.62), ("0.95", 0.95), ("0.1", 0.1)])
def test_the_stored_threshold_is_the_one_that_was_applied(
    function: Function, monkeypatch: pytest.MonkeyPatch, setting: str, stored: float
) -> None:
    environment = replace(entry._environment(), review_threshold=setting)
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    _, body, _ = function.model_answers(ANSWER).call()
    assert [one.review_threshold for one in function.store.stored] == [stored]
    assert (body["review"]["status"] == "requested") is (ANSWER["confidence"] < stored)


def test_the_record_expires_after_the_retention(function: Function) -> None:
    function.model_answers(ANSWER).call()
    (stored,) = function.store.stored
    created = entry.datetime.fromisoformat(stored.created_at)
    assert created.utcoffset() == entry.timedelta(0)
    assert 0 <= created.timestamp() + 90 * 86_400 - stored.expires_at < 1


def test_the_inference_id_is_the_prediction_id(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    raw = json.dumps([ANSWER]).encode()

    class Runtime:
        def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
            asked.append(request)
            return {"Body": io.BytesIO(raw), "InvokedProductionVariant": "champion"}

    monkeypatch.setattr(entry, "_runtime", lambda _: Runtime())
    _, body, _ = function.call('{"text": "größer"}')
    assert asked[0]["InferenceId"] == body["prediction_id"]
    assert json.loads(asked[0]["Body"]) == {"inputs": "größer"}


@pytest.mark.parametrize(
    ("code", "http", "status", "says"),
    [
        ("ModelError", 424, 502, "failed on this text"),
        ("ValidationError", 400, 503, "No model is released yet"),
        ("ValidationException", 400, 503, "No model is released yet"),
        ("ThrottlingException", 400, 503, "busy"),
        ("ModelNotReadyException", 429, 503, "busy"),
    ],
)
def test_what_the_endpoint_refuses_says_whose_fault_it_is(function: Function, code: str, http: int, status: int, says: str) -> None:
    answered, body, headers = function.model_refuses(code, http).call()
    assert answered == status
    assert says in body["error"]["message"]
    assert headers.get("Retry-After") == ("5" if status == 503 else None)
    assert function.counted == {"Requests": 1.0, "PredictionsFailed": 1.0}
    assert (function.store.stored, function.queue.sent) == ([], [])


@pytest.mark.parametrize(("code", "http"), [("ServiceUnavailable", 503), ("InternalFailure", 500)])
def test_a_fault_of_the_service_is_tried_again_and_then_busy(function: Function, code: str, http: int) -> None:
    status, body, headers = function.model_refuses(code, http).model_refuses(code, http).call()
    assert (status, headers["Retry-After"]) == (503, "5")
    assert "busy" in body["error"]["message"]
    assert function.model_refuses(code, http).model_answers(ANSWER).call()[0] == 200


@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
def test_an_endpoint_that_the_role_may_not_call_is_no_busy_one(function: Function, code: str) -> None:
    status, body, headers = function.model_refuses(code, 403).call()
    assert (status, "Retry-After" in headers) == (500, False)
    assert "not allowed to call its model" in body["error"]["message"]
    assert function.counted == {"Requests": 1.0, "PredictionsFailed": 1.0, "EndpointAccessDenied": 1.0}


@pytest.mark.parametrize(
    "problem",
    [
        ReadTimeoutError(endpoint_url="https://x"),
        ConnectTimeoutError(endpoint_url="https://x"),
        EndpointConnectionError(endpoint_url="https://x"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_an_endpoint_that_does_not_answer_in_time_is_503(function: Function, monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    def invoke_endpoint(**_: Any) -> Any:
        raise problem

    monkeypatch.setattr(entry, "_runtime", lambda _: SimpleNamespace(invoke_endpoint=invoke_endpoint))
    status, body, headers = function.call()
    assert (status, headers["Retry-After"]) == (503, "5")
    assert "in time" in body["error"]["message"]


@pytest.mark.parametrize("raw", [b"", b"[]", b"<html>", b'[{"label": "positive"}]', json.dumps([{**ANSWER, "confidence": 7}]).encode()])
def test_an_answer_in_another_form_is_502_and_leaves_nothing_behind(function: Function, raw: bytes) -> None:
    status, body, _ = function.model_answers(raw).call()
    assert status == 502
    assert "no usable answer" in body["error"]["message"]
    assert (function.store.stored, function.queue.sent) == ([], [])
    assert function.counted["PredictionsFailed"] == 1.0


PROBLEMS = [
    refused("ProvisionedThroughputExceededException"),
    refused("AccessDeniedException", 403),
    ReadTimeoutError(endpoint_url="x"),
    TypeError("a number that the client cannot write"),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_a_store_that_fails_costs_neither_the_answer_nor_the_review(function: Function, problem: Exception) -> None:
    function.store.problem = problem
    status, body, _ = function.model_answers(UNSURE).call()
    assert (status, body["review"]["status"]) == (200, "requested")
    (sent,) = function.queue.sent
    assert Prediction.of_request(ReviewRequest.from_json(sent["MessageBody"])) is not None
    assert "ReviewRequestsLost" not in function.counted


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_a_queue_that_fails_costs_neither_the_answer_nor_the_record(function: Function, problem: Exception) -> None:
    function.queue.problem = problem
    status, body, _ = function.model_answers(UNSURE).call()
    (stored,) = function.store.stored
    assert (status, body["review"]["status"]) == (200, "requested")
    assert (stored.review_state.value, stored.review_reason) == ("requested", "low_confidence")
    assert "ReviewRequestsLost" not in function.counted


def test_with_both_gone_the_caller_has_its_answer_and_an_alarm_counts_the_loss(function: Function) -> None:
    function.store.problem = function.queue.problem = refused("InternalServerError", 500)
    status, body, _ = function.model_answers(UNSURE).call()
    assert (status, body["label"], body["review"]) == (200, "positive", {"status": "unavailable"})
    assert function.counted == {"Requests": 1.0, "Predictions": 1.0, "ReviewRequestsLost": 1.0}


def test_a_sure_answer_that_could_not_be_stored_is_counted(function: Function) -> None:
    function.store.problem = refused("InternalServerError", 500)
    status, body, _ = function.model_answers(ANSWER).call()
    assert (status, body["review"]["status"]) == (200, "not_required")
    assert function.counted["PredictionsNotStored"] == 1.0


def test_a_write_that_its_own_retry_found_done_counts_as_stored(function: Function) -> None:
    function.store.fresh, function.queue.problem = False, refused("InternalServerError", 500)
    _, body, _ = function.model_answers(UNSURE).call()
    assert body["review"]["status"] == "requested"
    assert "ReviewRequestsLost" not in function.counted


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ("nonsense", 400, "body"),
        ('{"text": ""}', 400, "text"),
        (json.dumps({"text": "a" * 101}), 413, "text"),
        ('{"\\ud800": 1}', 400, "body"),
    ],
)
def test_a_refused_request_never_reaches_the_model(function: Function, body: str, status: int, named: str) -> None:
    answered, document, _ = function.call(body)  # the stub would fail on a call it has no answer for
    assert (answered, document["error"]["field"]) == (status, named)
    assert function.counted == {"Requests": 1.0, "RequestsRefused": 1.0}


def test_every_answer_can_be_sent_as_utf_8(function: Function) -> None:
    answer = entry.handler({"body": '{"\\udfff": 1}'}, CONTEXT)
    assert answer["body"].encode("utf-8")


EXPERIMENT = Experiment("rollout-1", "tuning-0", "tuning-1", 0.5, "2026-11-23T10:00:00+00:00")
ABOUT = {"champion": "product 4", "challenger": "product 2"}
"""Subjects of each variant at a share of one half."""


@pytest.mark.parametrize("variant", ["champion", "challenger"])
def test_a_subject_is_answered_by_its_variant_and_the_record_says_so(function: Function, variant: str) -> None:
    function.experiment = EXPERIMENT
    function.model_answers(ANSWER, variant, target=variant)
    _, body, _ = function.call(json.dumps({"text": "Not bad", "subject": ABOUT[variant]}))
    (stored,) = function.store.stored
    assert (body["variant"], stored.experiment, stored.assigned_by) == (variant, "rollout-1", "subject")


def test_without_a_subject_the_weights_choose_and_the_prediction_is_of_the_experiment(function: Function) -> None:
    function.experiment = EXPERIMENT
    function.model_answers(ANSWER, "champion").call()
    (stored,) = function.store.stored
    assert (stored.experiment, stored.assigned_by) == ("rollout-1", None)


def test_a_variant_that_is_gone_costs_the_subject_its_variant_and_not_its_answer(function: Function) -> None:
    function.experiment = EXPERIMENT
    function.model_refuses("ValidationError", 400).model_answers(ANSWER, "champion")
    status, body, _ = function.call(json.dumps({"text": "Not bad", "subject": ABOUT["challenger"]}))
    (stored,) = function.store.stored
    assert (status, body["variant"], stored.assigned_by) == (200, "champion", None)


def test_the_record_has_nothing_of_an_experiment_that_does_not_run(function: Function) -> None:
    function.model_answers(ANSWER).call(json.dumps({"text": "Not bad", "subject": ABOUT["challenger"]}))
    assert function.store.stored[0].item().keys().isdisjoint({"experiment", "assigned_by"})
