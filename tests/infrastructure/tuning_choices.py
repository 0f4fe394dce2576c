"""Settings under which the tuning stack is looked at, what its plan hands on, and the grants of its roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps import template_of
from aws_cdk.assertions import Template
from deployed_definition import names_of, resolve, stage_names

from lambdas.tuning.plan_tuning.plan import channels, job_name, read_input
from lambdas.tuning.plan_tuning.warm_start import WarmStart
from stacks.settings import Settings, load_settings
from stacks.settings.dataset import DatasetSettings
from stacks.settings.network import NetworkSettings
from stacks.settings.search import RetrainingSearch
from stacks.tuning import TuningStack
from stacks.tuning_jobs import search_parameters

NAMES = stage_names("dev")
SETTINGS = Path(__file__).resolve().parents[2] / "settings"
DEV, PROD = (load_settings(SETTINGS / f"{stage}.yaml") for stage in ("dev", "prod"))
TEAM_KEY = "arn:aws:kms:us-east-1:999999999999:key/0a1b2c3d"
VPC = NetworkSettings(mode="vpc", subnet_ids=("subnet-0a1b",), security_group_ids=("sg-0c2d",))
CHAMPION = f"s3://{NAMES.bucket('models')}/training/old-001/output/model.tar.gz"


def changed(settings: Settings, **parts: dict[str, Any]) -> Settings:
    return settings.model_copy(update={name: getattr(settings, name).model_copy(update=values) for name, values in parts.items()})


HYPERBAND = changed(DEV, tuning={"strategy": "Hyperband", "early_stopping": "Off"})
EXTRA = ("MaxRuntimeInSeconds", "RandomSeed", "RetryStrategy", "StrategyConfig")
EARLIER_JOB = f"{NAMES.prefix}-0a1b2c3d"
"""Name of a tuning job that a later one may learn from."""
VARIANTS = {
    "dev": DEV,
    "prod": PROD,
    "vpc": DEV.model_copy(update={"network": VPC}),
    "cpu-free volume": changed(DEV, tuning={"instance_type": "ml.p3.2xlarge", "evaluation_instance_type": "ml.p3.2xlarge"}),
    "hyperband": HYPERBAND,
    "extra fields": changed(DEV, tuning={"extra_fields": EXTRA}),
    "hyperband with extra fields": changed(HYPERBAND, tuning={"extra_fields": EXTRA}),
    "shortest": changed(
        DEV, tuning={"max_runtime_seconds": 60, "max_jobs": 1, "max_parallel_jobs": 1, "retraining": RetrainingSearch(max_jobs=1)}
    ),
    "longest name": DEV.model_copy(update={"name": "abcdefghijklmno", "stage": "abcdefgh"}),
    "own dataset": DEV.model_copy(update={"dataset": DatasetSettings(uri="s3://team-data/texts/v1", kms_key_arn=TEAM_KEY)}),
}


def tuning_template(settings: Settings) -> Template:
    return template_of(TuningStack, settings)


def planned(settings: Settings, *, parents: list[str], again: bool) -> dict[str, Any]:
    """What the plan function hands to the next state."""
    names = names_of(settings)
    raw = {"warm_start_parents": parents, "continue_from_champion": again}
    tuning = read_input(raw, current_dataset="s3://data-1/datasets/0123456789abcdef", default_jobs=settings.tuning.max_jobs)
    return {
        "tuning_job_name": job_name(names.prefix, names.arn("states", f"execution:{names.state_machine('tuning')}:run-1")),
        "checkpoint_uri": "s3://models-1/checkpoints/tuning-1",
        "max_jobs": tuning.max_jobs,
        "max_parallel_jobs": settings.tuning.max_parallel_jobs,
        "input_data_config": channels(
            tuning, code_uri="s3://assets/c.gz", base_model_uri="s3://data-1/base-model/", champion_model_uri=CHAMPION
        ),
        "warm_start": WarmStart(tuning.warm_start_parents, "").config,
        "continues_champion": again,
        "search": search_parameters(settings, retraining=again),
    }


def statements(template: Template, role: str) -> list[dict[str, Any]]:
    """The statements of the role whose logical id begins so, resolved."""
    document = template.to_json()
    found = [
        resolve(document, statement)
        for policy in template.find_resources("AWS::IAM::Policy").values()
        if any(item["Ref"].startswith(role) for item in policy["Properties"]["Roles"])
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    ]
    assert found, f"no policy for {role}"
    return found


def granted(template: Template, role: str, action: str) -> list[dict[str, Any]]:
    return [
        item for item in statements(template, role) if action in ([item["Action"]] if isinstance(item["Action"], str) else item["Action"])
    ]


def resources_of(found: list[dict[str, Any]]) -> set[str]:
    return {arn for item in found for arn in ([item["Resource"]] if isinstance(item["Resource"], str) else item["Resource"])}
