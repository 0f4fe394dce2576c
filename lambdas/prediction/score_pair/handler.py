"""While an experiment runs: answered texts from the table's stream, scored by the other variant too (see :mod:`.scoring`).

It runs beside the callers: whatever goes wrong here, they have their answers. A record that fails comes again with those after it, and
one that is 23 hours old goes to the dead letters (``stacks/constructs/paired_scoring.py``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError, ReadTimeoutError

from contracts.shared_words import PAIR_CALL
from lambdas.common.clients import client, dynamodb_table, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.experiment import Experiment
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.pairs import Missed
from lambdas.common.predictions import InvalidPrediction, StoredPrediction
from lambdas.common.review import ReviewRequest
from lambdas.prediction.answer import InvalidAnswer, ModelAnswer
from lambdas.prediction.model import client_config, invoke, refuses_request
from lambdas.prediction.score_pair.scoring import Answer, CannotAnswer, Limits, Outcome, Ports, score
from lambdas.prediction.score_pair.table import PairTable

_METRIC = {Outcome.AGREED: "PairsAgreed", Outcome.DIFFER: "PairsDiffer", Outcome.MISSED: "PairsMissed"}


@dataclass(frozen=True)
class Environment:
    endpoint_name: str
    predictions_table: str
    pairs_table: str
    experiment_parameter: str
    review_queue_url: str
    paired_share: float
    reviews_a_day: int
    model_deadline_seconds: float = 8.0


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@cache
def _runtime(read_seconds: float) -> Any:
    return client("sagemaker-runtime", client_config(read_seconds))


@cache
def _table() -> PairTable:
    environment = _environment()
    return PairTable(dynamodb_table(environment.pairs_table), prediction_store(environment.predictions_table))


def _experiment() -> Experiment | None:
    """The one that runs now. Not the cached one: a parameter that cannot be read must not make predictions late."""
    return Experiment.parse(client("ssm").get_parameter(Name=_environment().experiment_parameter)["Parameter"]["Value"])


def _ask_model(variant: str, prediction: StoredPrediction) -> Answer:
    """Raises CannotAnswer, ClientError, BotoCoreError."""
    request = {
        "EndpointName": _environment().endpoint_name,
        "TargetVariant": variant,
        "ContentType": "application/json",
        "Accept": "application/json",
        "InferenceId": f"{PAIR_CALL}{prediction.prediction_id}",
        "Body": json.dumps({"inputs": prediction.text}, allow_nan=False).encode(),
    }
    try:
        body = invoke(_runtime, request, deadline=_environment().model_deadline_seconds, keeps_target=True)["Body"].read()
        answer = ModelAnswer.parse(body)
    except ClientError as error:
        if refuses_request(error):
            raise CannotAnswer(Missed.GONE, str(error)) from None
        if error.response["Error"]["Code"] == "ModelError":
            raise CannotAnswer(Missed.FAILED, str(error)) from None
        raise
    except (InvalidAnswer, ReadTimeoutError) as error:
        raise CannotAnswer(Missed.FAILED, str(error)) from None
    return Answer(answer.label, answer.confidence, answer.model_version)


def _ask_people(request: ReviewRequest) -> None:
    client("sqs").send_message(QueueUrl=_environment().review_queue_url, MessageBody=request.to_json())


def _ports() -> Ports:
    store = prediction_store(_environment().predictions_table)
    return Ports(table=_table(), record=store.get, ask_model=_ask_model, ask_people=_ask_people)


def _score(item: Mapping[str, Any], experiment: Experiment | None, ports: Ports) -> Outcome:
    environment = _environment()
    try:
        prediction = StoredPrediction.parse(item)
    except InvalidPrediction as error:
        logger.error("a record cannot be read, so it is not paired", extra={"prediction_id": error.prediction_id, "error": str(error)})
        expires_at = int(item.get("expires_at", 0))
        counted = ports.table.miss(str(item["experiment"]), str(item["prediction_id"]), Missed.UNUSABLE, expires_at)
        return Outcome.MISSED if counted else Outcome.DUPLICATE
    limits = Limits(environment.paired_share, environment.reviews_a_day)
    return score(prediction, experiment, limits, ports, today=datetime.now(UTC).date().isoformat())


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A batch of the stream -> ``{"batchItemFailures": [...]}``: the first record that failed, from which the batch comes again."""
    read, outcomes, failed = TypeDeserializer(), Counter[Outcome](), list[dict[str, str]]()
    experiment, ports = _experiment(), _ports()
    for record in event["Records"]:
        if record.get("eventName") != "INSERT" or "experiment" not in record["dynamodb"]["NewImage"]:
            continue
        item = {name: read.deserialize(value) for name, value in record["dynamodb"]["NewImage"].items()}
        try:
            outcomes[_score(item, experiment, ports)] += 1
        except Exception:
            logger.exception("pair not scored", extra={"prediction_id": item.get("prediction_id")})
            failed.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
            break
    _count(outcomes.items())
    logger.info("pairs scored", extra={**{outcome.value: count for outcome, count in outcomes.items()}, "failed": len(failed)})
    return {"batchItemFailures": failed}


def _count(outcomes: Iterable[tuple[Outcome, int]]) -> None:
    for outcome, count in outcomes:
        if outcome in _METRIC:
            metrics.add_metric(_METRIC[outcome], MetricUnit.Count, count)
