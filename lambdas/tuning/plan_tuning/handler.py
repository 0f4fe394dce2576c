"""First step of a tuning execution: check the input, find dataset, base model and champion, name the job."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release
from lambdas.tuning.plan_tuning.plan import channels, job_name, read_input
from lambdas.tuning.plan_tuning.warm_start import Following, WarmStart, choose

_UNREADABLE = ("ResourceNotFound", "ValidationException", "AccessDeniedException")


@dataclass(frozen=True)
class Environment:
    prefix: str
    dataset_parameter: str
    base_model_parameter: str
    release_parameter: str
    checkpoints_uri: str
    default_max_jobs: int
    max_parallel_jobs: int


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _parameter(name: str) -> str:
    value: str = client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
    return value


def _champion_model() -> str | None:
    """S3 URI of the champion's model.tar.gz, or None before the first release."""
    release = Release.parse(_parameter(_environment().release_parameter))
    if not release.exists:
        return None
    package = client("sagemaker").describe_model_package(ModelPackageName=release.champion)
    uri: str = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    return uri


def _tuning_job(name: str) -> dict[str, Any] | str:
    """The earlier tuning job, or why it cannot be learnt from."""
    try:
        job: dict[str, Any] = client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] in _UNREADABLE:
            return str(error.response["Error"]["Message"])
        raise
    return job


def _warm_start(parents: tuple[str, ...], following: dict[str, Any], *, again: bool, max_jobs: int) -> WarmStart:
    job = Following(
        strategy=following["strategy"],
        objective=following["objective"],
        ranges=following["ranges"]["retraining" if again else "first"],
        definition=following["definition"],
        max_jobs=max_jobs,
    )
    return choose({name: _tuning_job(name) for name in parents}, job)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"execution_id", "input", "code_uri", "following"}`` -> the plan that the following states read.

    ``code_uri`` and ``following`` (what the tuning job will be) come from the execution's own definition, so that an execution goes on
    with the code that it was started with. A parent that the service would refuse is left out: ``warm_start_reason`` says why.
    """
    environment = _environment()
    tuning = read_input(
        event["input"], current_dataset=_parameter(environment.dataset_parameter), default_jobs=environment.default_max_jobs
    )
    champion, name = _champion_model(), job_name(environment.prefix, event["execution_id"])
    again = tuning.continue_from_champion and champion is not None
    warm_start = _warm_start(tuning.warm_start_parents, event["following"], again=again, max_jobs=tuning.max_jobs)
    plan = {
        "tuning_job_name": name,
        "code_uri": event["code_uri"],
        "checkpoint_uri": f"{environment.checkpoints_uri}/{name}",
        "dataset_uri": tuning.dataset_uri,
        "max_jobs": tuning.max_jobs,
        "max_parallel_jobs": min(tuning.max_jobs, environment.max_parallel_jobs),
        "input_data_config": channels(
            tuning,
            code_uri=event["code_uri"],
            base_model_uri=_parameter(environment.base_model_parameter),
            champion_model_uri=champion,
        ),
        "champion_model_uri": champion,
        "continues_champion": again,
        "warm_start": warm_start.config,
        "warm_start_reason": warm_start.reason,
    }
    logger.info("tuning planned", extra={"plan": plan})
    return plan
