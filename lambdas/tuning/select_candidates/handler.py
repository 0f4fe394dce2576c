"""Selects the best two training jobs of a tuning job that are no twins, each with the inputs of its evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.tuning.select_candidates.selection import (
    NoCandidate,
    best_with_model,
    evaluation_job_name,
    processing_inputs,
    ranked,
    require_ended,
)


@dataclass(frozen=True)
class Environment:
    evaluations_uri: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _require_ended(tuning_job: str, cause: str | None) -> None:
    """Raises NoCandidate when the tuning job could not even be made, TuningUnfinished while it runs."""
    try:
        job = client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=tuning_job)
    except ClientError as error:
        if cause is not None and error.response["Error"]["Code"] in ("ResourceNotFound", "ValidationException"):
            raise NoCandidate(f"tuning job {tuning_job} could not be started: {cause}") from None
        raise
    require_ended(tuning_job, job["HyperParameterTuningJobStatus"])


def _summaries(tuning_job: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = client("sagemaker").list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=tuning_job, MaxResults=100, **token
        )
        yield from page["TrainingJobSummaries"]
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def _model_of(training_job: str) -> str | None:
    job = client("sagemaker").describe_training_job(TrainingJobName=training_job)
    uri: str | None = job.get("ModelArtifacts", {}).get("S3ModelArtifacts")
    return uri


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> list[dict[str, Any]]:
    """The plan, with ``tuning_error`` when the job did not complete -> one entry a candidate, best first.

    Raises:
        NoCandidate: no training job left a model with an objective.
        TuningUnfinished: the tuning job still runs.
    """
    _require_ended(event["tuning_job_name"], event.get("tuning_error", {}).get("Cause"))
    entries = []
    for candidate, model_uri in best_with_model(ranked(_summaries(event["tuning_job_name"])), _model_of):
        name = evaluation_job_name(candidate.training_job)
        entries.append(
            {
                "training_job": candidate.training_job,
                "objective": candidate.objective,
                "model_uri": model_uri,
                "evaluation_job_name": name,
                "output_uri": f"{_environment().evaluations_uri}/{name}",
                "best_package": event.get("best_package"),  # not in a plan that a version before this one made
                "processing_inputs": processing_inputs(
                    code_uri=event["code_uri"],
                    dataset_uri=event["dataset_uri"],
                    model_uri=model_uri,
                    champion_uri=event.get("champion_model_uri"),
                    best_uri=event.get("best_model_uri"),
                ),
            }
        )
    logger.info("candidates selected", extra={"candidates": entries})
    return entries
