"""The function from a batch of the stream to its answer: what the endpoint can do to it, and which records come again."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from pair_tables import Database, PairsTable, PredictionsTable
from review_fakes import CONTEXT

from lambdas.common.experiment import Experiment
from lambdas.common.observability import metrics
from lambdas.common.pairs import PairStore
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.predictions import Prediction
from lambdas.common.review import ReviewState
from lambdas.prediction.score_pair import handler as entry
from lambdas.prediction.score_pair.table import PairTable

EXPERIMENT = Experiment("rollout-1", "model-1", "model-2", 0.5, "2026-11-23T10:00:00+00:00")


def refused(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "InvokeEndpoint")


def answer(**changes: Any) -> bytes:
    fields = {"label": "bad", "confidence": 0.7, "probabilities": {"bad": 0.7, "good": 0.3}, "model_version": "model-2"}
    return json.dumps([{**fields, "review_threshold": 0.6, **changes}]).encode()


class Endpoint:
    """Answers with what is in ``outcomes``, the last of them for ever."""

    def __init__(self) -> None:
        self.outcomes: list[Exception | bytes] = [answer()]
        self.requests: list[dict[str, Any]] = []

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return {"Body": io.BytesIO(outcome), "InvokedProductionVariant": request["TargetVariant"]}


class Function:
    def __init__(self) -> None:
        self.database, self.endpoint, self.sent = Database(), Endpoint(), list[dict[str, str]]()

    def record(self, number: int, **changes: Any) -> dict[str, Any]:
        """A record of the stream, whose item lies in the table as well."""
        prediction = Prediction(
            f"{number:032x}", "not bad", "good", 0.9, 0.6, "champion", "model-1", "2026-11-23T10:00:00.000+00:00", 1_900_000_000,
            ReviewState.NOT_REQUIRED, experiment="rollout-1",
        )  # fmt: skip
        item = {**prediction.item(), **changes}
        self.database.predictions[prediction.prediction_id] = item
        image = {name: TypeSerializer().serialize(value) for name, value in item.items() if value is not None}
        return {"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": str(number)}}

    def call(self, *records: dict[str, Any]) -> list[str]:
        answered = entry.handler({"Records": list(records)}, CONTEXT)
        return [one["itemIdentifier"] for one in answered["batchItemFailures"]]

    def read(self) -> Any:
        return PairStore(PairsTable(self.database), PredictionsTable(self.database)).read("rollout-1")


@pytest.fixture
def function(monkeypatch: pytest.MonkeyPatch) -> Function:
    made = Function()
    store = PredictionStore(PredictionsTable(made.database))
    environment = entry.Environment("reviewloop-dev", "predictions", "pairs", "/experiment", "https://sqs/queue", 1.0, 200)
    monkeypatch.setattr(metrics, "namespace", "Test")
    monkeypatch.setattr(metrics, "service", "score-pair")
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    monkeypatch.setattr(entry, "_runtime", lambda _: made.endpoint)
    monkeypatch.setattr(entry, "_table", lambda: PairTable(PairsTable(made.database), store))
    monkeypatch.setattr(entry, "prediction_store", lambda _: store)
    queue = SimpleNamespace(send_message=lambda **request: made.sent.append(request))
    parameters = SimpleNamespace(get_parameter=lambda **_: {"Parameter": {"Value": EXPERIMENT.format()}})
    monkeypatch.setattr(entry, "client", lambda service: {"ssm": parameters, "sqs": queue}[service])
    return made


def test_the_other_variant_is_asked_under_an_id_that_is_no_predictions(function: Function) -> None:
    assert function.call(function.record(1)) == []
    [request] = function.endpoint.requests
    assert (request["TargetVariant"], request["InferenceId"]) == ("challenger", f"pair-{1:032x}")
    assert json.loads(request["Body"]) == {"inputs": "not bad"}
    assert [pair.challenger_label for pair in function.read().differ] == ["bad"]
    assert [json.loads(one["MessageBody"])["reason"] for one in function.sent] == ["pair"]


@pytest.mark.parametrize(
    ("problem", "why"),
    [
        (refused("ValidationError"), "gone"),
        (refused("ValidationException"), "gone"),
        (refused("ModelError", 424), "failed"),
        (ReadTimeoutError(endpoint_url="x"), "failed"),
        (b"<html>", "failed"),
        (answer(confidence=7), "failed"),
        (answer(model_version="model-1"), "gone"),
    ],
    ids=str,
)
def test_what_will_not_pass_is_counted_and_holds_up_nobody(function: Function, problem: Exception | bytes, why: str) -> None:
    function.endpoint.outcomes = [problem]
    assert function.call(function.record(1)) == []
    assert function.read().missed == {why: 1}
    assert {request["TargetVariant"] for request in function.endpoint.requests} == {"challenger"}, "no other variant will do"


@pytest.mark.parametrize(
    "problem",
    [
        refused("ThrottlingException"),
        refused("ServiceUnavailable", 503),
        refused("AccessDeniedException", 403),
        EndpointConnectionError(endpoint_url="x"),
    ],
    ids=str,
)
def test_what_may_pass_comes_again_with_all_that_follows(function: Function, problem: Exception) -> None:
    records = [function.record(number) for number in range(1, 4)]
    function.endpoint.outcomes = [answer(), problem]
    assert function.call(*records) == ["2"]
    assert len(function.read().differ) == 1
    function.endpoint.outcomes = [answer()]
    assert function.call(*records[1:]) == []
    assert (len(function.read().differ), function.read().missed) == (3, {})


def test_a_record_that_cannot_be_read_is_counted_once_and_holds_up_nobody(function: Function) -> None:
    broken = function.record(1, review_state="nonsense")
    assert function.call(broken, function.record(2)) == []
    assert function.call(broken) == []
    assert (function.read().missed, len(function.read().differ)) == ({"unusable": 1}, 1)


def test_changes_of_a_record_and_predictions_of_no_experiment_are_left_alone(function: Function) -> None:
    changed, other = function.record(1) | {"eventName": "MODIFY"}, function.record(2, experiment=None)
    assert function.call(changed, other) == []
    assert (function.database.pairs, function.endpoint.requests) == ({}, [])


def test_an_experiment_that_cannot_be_read_makes_no_prediction_late(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    def get_parameter(**_: Any) -> Any:
        raise refused("ThrottlingException")

    monkeypatch.setattr(entry, "client", lambda _: SimpleNamespace(get_parameter=get_parameter))
    with pytest.raises(ClientError):
        function.call(function.record(1))
    assert function.database.pairs == {}
