"""First step of a tuning execution: check the input, find dataset, base model and champion, name the job."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release
from lambdas.plan_tuning.plan import channels, job_name, read_input, warm_start


@dataclass(frozen=True)
class Environment:
    prefix: str
    dataset_parameter: str
    base_model_parameter: str
    release_parameter: str
    code_uri: str
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


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"execution_id", "input"}`` -> the plan that the following states read."""
    environment = _environment()
    tuning = read_input(
        event["input"], current_dataset=_parameter(environment.dataset_parameter), default_jobs=environment.default_max_jobs
    )
    champion, name = _champion_model(), job_name(environment.prefix, event["execution_id"])
    plan = {
        "tuning_job_name": name,
        "checkpoint_uri": f"{environment.checkpoints_uri}/{name}",
        "dataset_uri": tuning.dataset_uri,
        "max_jobs": tuning.max_jobs,
        "max_parallel_jobs": min(tuning.max_jobs, environment.max_parallel_jobs),
        "input_data_config": channels(
            tuning,
            code_uri=environment.code_uri,
            base_model_uri=_parameter(environment.base_model_parameter),
            champion_model_uri=champion,
        ),
        "champion_model_uri": champion,
        "continues_champion": tuning.continue_from_champion and champion is not None,
        "warm_start": warm_start(tuning.warm_start_parents),
    }
    logger.info("tuning planned", extra={"plan": plan})
    return plan
