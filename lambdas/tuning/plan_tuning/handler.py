"""First step of a tuning execution: check the input, find dataset, base model, champion and the best champion so far, name the job."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release
from lambdas.tuning.plan_tuning.compared import Compared, compared
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


def _package(arn: str) -> dict[str, Any]:
    package: dict[str, Any] = client("sagemaker").describe_model_package(ModelPackageName=arn)
    return package


def _earlier_package(arn: str) -> dict[str, Any] | None:
    """None where the package is deleted, or is of another group: whoever registered the champion may have copied what it says."""
    try:
        return _package(arn)
    except ClientError as error:
        if error.response["Error"]["Code"] in _UNREADABLE:
            return None
        raise


def _compared() -> Compared:
    found = compared(Release.parse(_parameter(_environment().release_parameter)), _package, _earlier_package)
    if found.lost:
        logger.warning("the best champion so far is gone: the running one counts as the best", extra={"package": found.lost})
    return found


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
    models, name = _compared(), job_name(environment.prefix, event["execution_id"])
    again = tuning.continue_from_champion and models.champion is not None
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
            champion_model_uri=models.champion,
        ),
        "champion_model_uri": models.champion,
        "best_model_uri": models.best,
        "best_package": models.best_package,
        "continues_champion": again,
        "warm_start": warm_start.config,
        "warm_start_reason": warm_start.reason,
    }
    logger.info("tuning planned", extra={"plan": plan})
    return plan
