"""``POST /predict``: one text in, one answer out. The review side may fail or lag; the caller's answer never does."""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.common.clients import client
from lambdas.common.denials import CODES as DENIED
from lambdas.common.environment import read_environment
from lambdas.common.experiment import KEPT_SECONDS, NONE, CurrentExperiment, experiment_at
from lambdas.common.observability import logger, metrics
from lambdas.common.predictions import BY_SUBJECT, Prediction
from lambdas.common.review import ReviewState
from lambdas.prediction.answer import InvalidAnswer, ModelAnswer
from lambdas.prediction.model import client_config, invoke, read_timeouts, refuses_request
from lambdas.prediction.predict.assignment import assigned_variant
from lambdas.prediction.predict.record import PredictionRecords
from lambdas.prediction.predict.request import PredictRequest, RefusedRequest, read_request
from lambdas.prediction.predict.review_policy import first_state, review_reason, review_threshold

# The model's deadline and then two tries each of table and queue stay below what API Gateway waits
# (tests/unit/lambdas/prediction/test_predict_model.py adds them up): a caller gets our answer with its reason, never the gateway's.
# After the review side's tries the reconciler takes over.
SIDE = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=1, read_timeout=1)
_RETRY_AFTER_SECONDS = "5"


@dataclass(frozen=True)
class Environment:
    endpoint_name: str
    predictions_table: str
    max_text_chars: int
    audit_share: float
    retention_days: int
    model_deadline_seconds: float = 8.0
    review_threshold: str = "model"
    experiment_parameter: str = ""
    """Not set where no model is compared with another."""
    experiment_seconds: float = KEPT_SECONDS
    """So late a process notices that an experiment has begun, has another share, or has ended."""
    review_queue_url: str = ""
    """Not set where nobody is asked: the threshold and the audit share are 0 then, so no prediction is sent anywhere."""
    daily_budget: int = 0
    """With a budget the unsure texts wait in the table until `reconcile` chooses them. 0: there is none, so people are asked at once."""

    @property
    def fixed_threshold(self) -> float | None:
        """One threshold for every model; None where each model's own counts."""
        return None if self.review_threshold == "model" else float(self.review_threshold)


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@cache
def _runtime(read_seconds: float) -> Any:
    return client("sagemaker-runtime", client_config(read_seconds))


def _store() -> PredictionRecords:
    return PredictionRecords(client("dynamodb", SIDE), _environment().predictions_table)


def _sqs() -> Any:
    return client("sqs", SIDE)


@cache
def _experiments() -> CurrentExperiment:
    parameter, seconds = _environment().experiment_parameter, _environment().experiment_seconds
    return experiment_at(parameter, SIDE, kept_seconds=seconds) if parameter else CurrentExperiment(lambda: NONE)


class ModelUnavailable(RuntimeError):
    """The endpoint gave no answer; becomes the HTTP answer ``status``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _ask_model(prediction_id: str, text: str, target: str | None) -> tuple[ModelAnswer, str]:
    """(answer, variant). Raises ModelUnavailable.

    Args:
        target: the variant to ask; None: the endpoint's weights choose.
    """
    try:
        request = {
            "EndpointName": _environment().endpoint_name,
            "ContentType": "application/json",
            "Accept": "application/json",
            "InferenceId": prediction_id,
            "Body": json.dumps({"inputs": text}, allow_nan=False).encode(),
            **({} if target is None else {"TargetVariant": target}),
        }
        response = invoke(_runtime, request, deadline=_environment().model_deadline_seconds)
        return ModelAnswer.parse(response["Body"].read()), response["InvokedProductionVariant"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        logger.warning("endpoint refused", extra={"code": code, "prediction_id": prediction_id})
        if refuses_request(error):
            raise ModelUnavailable(503, "No model is released yet, or the endpoint is being created. Try again later.") from None
        if code in DENIED:
            metrics.add_metric("EndpointAccessDenied", MetricUnit.Count, 1)
            raise ModelUnavailable(500, "The service is not allowed to call its model. Its operators have been alerted.") from None
        if code == "ModelError":
            raise ModelUnavailable(502, "The model failed on this text. The failure was recorded; try again later.") from None
        raise ModelUnavailable(503, "The endpoint is busy or out of reach. Try again later.") from None
    except BotoCoreError as error:
        logger.warning("endpoint did not answer", extra={"error": type(error).__name__, "prediction_id": prediction_id})
        raise ModelUnavailable(503, "The endpoint did not answer in time. Try again later.") from None
    except InvalidAnswer as error:
        logger.error("model answered in another form", extra={"error": str(error), "prediction_id": prediction_id})
        raise ModelUnavailable(502, "The model gave no usable answer. The failure was recorded; try again later.") from None


def _record(prediction_id: str, request: PredictRequest, answer: ModelAnswer, variant: str, target: str | None) -> Prediction:
    environment, now, experiment = _environment(), datetime.now(UTC), _experiments().get()
    threshold = review_threshold(answer.review_threshold, environment.fixed_threshold)
    reason = review_reason(prediction_id, answer.confidence, threshold=threshold, audit_share=environment.audit_share)
    return Prediction(
        prediction_id=prediction_id,
        text=request.text,
        subject=request.subject,
        label=answer.label,
        confidence=answer.confidence,
        review_threshold=threshold,
        variant=variant,
        model_version=answer.model_version,
        created_at=now.isoformat(timespec="milliseconds"),
        expires_at=int((now + timedelta(days=environment.retention_days)).timestamp()),
        review_state=first_state(reason, daily_budget=environment.daily_budget),
        review_reason=None if reason is None else reason.value,
        tokens=answer.tokens,
        oov_tokens=answer.oov_tokens,
        experiment=None if experiment is None else experiment.id,
        assigned_by=BY_SUBJECT if target == variant else None,
    )


def _target(subject: str | None) -> str | None:
    """The variant of this subject. Without a subject nobody waits here: the experiment is read while the model answers."""
    experiments = _experiments()
    if subject is None:
        experiments.begin()
        return None
    return assigned_variant(experiments.get(), subject)


def _hand_over(prediction: Prediction) -> dict[str, str]:
    """Store the prediction and ask for its review; returns what the caller learns of it.

    Either of the two places is enough: a stored request is sent again by the reconciler, and a queued one carries
    all that the record holds. Whatever goes wrong here, the caller has an answer and gets it.
    """
    stored = queued = False
    try:
        _store().put(prediction)  # False: the client's own retry found what its first try had written
        stored = True
    except Exception:
        logger.exception("prediction not stored", extra={"prediction_id": prediction.prediction_id})
    if prediction.review_state is ReviewState.NOT_REQUIRED:
        if not stored:
            metrics.add_metric("PredictionsNotStored", MetricUnit.Count, 1)
        return {"status": "not_required"}
    request = prediction.review_request()
    if prediction.review_state is ReviewState.WAITING and stored:
        metrics.add_metric("ReviewsAskedFor", MetricUnit.Count, 1)
        return {"status": "waiting", "reason": request.reason.value}
    try:
        _sqs().send_message(QueueUrl=_environment().review_queue_url, MessageBody=request.to_json())
        queued = True
    except Exception:
        logger.exception("review request not queued", extra={"prediction_id": prediction.prediction_id})
    if not stored and not queued:
        metrics.add_metric("ReviewRequestsLost", MetricUnit.Count, 1)
        return {"status": "unavailable"}
    metrics.add_metric("ReviewsAskedFor", MetricUnit.Count, 1)
    return {"status": "requested", "reason": request.reason.value, "review_id": request.review_id}


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """In ASCII: a refusal may name a field with half of a surrogate pair, which has no UTF-8 form."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if status == 503:
        headers["Retry-After"] = _RETRY_AFTER_SECONDS
    return {"statusCode": status, "headers": headers, "body": json.dumps(body, allow_nan=False)}


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway proxy event -> proxy answer; form in docs/contracts.md."""
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    try:
        request = read_request(event, max_text_chars=_environment().max_text_chars)
        prediction_id = uuid.uuid4().hex
        target = _target(request.subject)
        answer, variant = _ask_model(prediction_id, request.text, target)
    except RefusedRequest as refusal:
        metrics.add_metric("RequestsRefused", MetricUnit.Count, 1)
        return _answer(refusal.status, refusal.body())
    except ModelUnavailable as failure:
        metrics.add_metric("PredictionsFailed", MetricUnit.Count, 1)
        return _answer(failure.status, {"error": {"message": str(failure)}})
    prediction = _record(prediction_id, request, answer, variant, target)
    metrics.add_metric("Predictions", MetricUnit.Count, 1)
    return _answer(
        200,
        {
            "prediction_id": prediction_id,
            "label": prediction.label,
            "label_name": answer.label_name,
            "confidence": prediction.confidence,
            "probabilities": dict(answer.probabilities),
            **({} if answer.truncated is None else {"truncated": answer.truncated}),
            "variant": variant,
            "model_version": prediction.model_version,
            "review": _hand_over(prediction),
        },
    )


def _prepare() -> None:
    """Make the clients that every call needs. Lambda gives a function's start the whole of a processor, and its calls a part of one."""
    _runtime(read_timeouts(_environment().model_deadline_seconds)[0])
    _store()
    if _environment().experiment_parameter:
        client("ssm", SIDE)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    _prepare()
