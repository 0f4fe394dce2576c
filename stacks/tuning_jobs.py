"""The two jobs of a tuning execution as Step Functions parameters; fields ending in ``.$`` come from the execution.

Step Functions checks nested fields against a model of its own, which is older than SageMaker's API: fields that no public
definition has are left out unless ``tuning.extra_fields`` names them. Refusals of that kind: aws/aws-cdk issue 10014 and
aws/aws-step-functions-data-science-sdk-python issues 15 and 200. docs/settings.md says what is lost without each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stacks.durations import most_tuning_jobs
from stacks.images import volume_key
from stacks.settings import Settings
from stacks.settings.network import NetworkSettings

OBJECTIVE = "validation:macro_f1"
METRICS = (OBJECTIVE, "validation:accuracy", "train:loss")
LEAST_RUNTIME_SECONDS = 120
"""CreateHyperParameterTuningJob's lower bound of ResourceLimits.MaxRuntimeInSeconds."""

_NEVER_CHANGED = ("EnableInterContainerTrafficEncryption", "EnableNetworkIsolation", "RetryStrategy")
"""Fields of the training job definition that a warm start does not let differ from the parents' (``plan_tuning/warm_start.py``)."""
INPUT = "/opt/ml/processing/input"
CODE = "/opt/ml/processing/code"
OUTPUT = "/opt/ml/processing/output/evaluation"
EXIT_MESSAGE = "/opt/ml/output/message"
"""What a processing container writes here is its job's ExitMessage."""
UNPACK_AND_EVALUATE = f'mkdir -p {CODE} && tar -xzf {INPUT}/code/*.gz -C {CODE} && exec python3 {CODE}/evaluate.py "$@"'


@dataclass(frozen=True)
class JobEnvironment:
    """What a job needs besides the settings: its image, its role, the key, and where it writes (S3 URI)."""

    image: str
    role_arn: str
    key_arn: str
    output_uri: str


def parameter_ranges(settings: Settings, *, retraining: bool) -> dict[str, list[dict[str, Any]]]:
    """What a tuning job varies; SageMaker takes every value as a string.

    A retraining varies the same names, or it could not start warm; ``layers`` has one value then, since the champion keeps its own.
    """
    tuning = settings.tuning
    search = tuning.retraining if retraining else tuning
    layers = tuning.layers[:1] if retraining else tuning.layers
    rate = search.learning_rate
    categories: dict[str, tuple[Any, ...]] = {"layers": layers, "trained_layers": search.trained_layers}
    if len(tuning.class_weights) > 1:
        categories["class_weights"] = tuning.class_weights
    if not _epochs_are_fixed(settings):
        categories["epochs"] = search.epochs
    return {
        "ContinuousParameterRanges": [
            {"Name": "learning_rate", "MinValue": str(rate.low), "MaxValue": str(rate.high), "ScalingType": rate.scaling}
        ],
        "CategoricalParameterRanges": [
            {"Name": name, "Values": [str(value) for value in values]} for name, values in sorted(categories.items())
        ],
    }


def search_parameters(settings: Settings, *, retraining: bool) -> dict[str, Any]:
    """What the execution's ``$.search`` holds: the ranges, and with Hyperband the number of epochs."""
    search: dict[str, Any] = {"ranges": parameter_ranges(settings, retraining=retraining)}
    if _epochs_are_fixed(settings):
        epochs = settings.tuning.retraining.epochs if retraining else settings.tuning.epochs
        search["epochs"] = str(max(epochs))
    return search


def _epochs_are_fixed(settings: Settings) -> bool:
    """Hyperband decides itself how long a training job learns.

    Without ``MaxResource`` it takes the static hyper-parameter ``epochs`` for it (API reference, HyperbandStrategyConfig).
    """
    return settings.tuning.strategy == "Hyperband"


def static_parameters(settings: Settings, code_file: str) -> dict[str, str]:
    """What every training job of a tuning job has in common. ``code_file``: the archive's name in the channel ``code``."""
    fixed = {"epochs.$": "$.search.epochs"} if _epochs_are_fixed(settings) else {}
    if len(settings.tuning.class_weights) == 1:
        fixed["class_weights"] = settings.tuning.class_weights[0]
    return {
        **fixed,
        "sagemaker_program": "train.py",
        "sagemaker_submit_directory": f"/opt/ml/input/data/code/{code_file}",
        "soft_labels": str(int(settings.tuning.soft_labels)),
        "seed": str(settings.tuning.seed),
        "review_share": str(settings.review.target_share),
        **_promise(settings),
        "max_length": str(settings.tuning.max_length),
        "batch_size": str(settings.tuning.batch_size),
        "replay_rows": str(settings.retraining.replay_rows),
        "max_unknown_share": str(settings.tuning.max_unknown_share),
    }


def _promise(settings: Settings) -> dict[str, str]:
    """Left out without a promise: a fixed hyper-parameter more would be a change that a warm start counts."""
    promise = settings.review.promise
    if promise is None:
        return {}
    return {"review_max_error": str(promise.max_error), "review_confidence": str(promise.confidence)}


def following(settings: Settings, environment: JobEnvironment, code_file: str) -> dict[str, Any]:
    """The tuning job as its plan must know it, to name no parent for a warm start that the service would refuse."""
    definition = _training_definition(settings, environment, code_file)
    static = static_parameters(settings, code_file)
    return {
        "strategy": settings.tuning.strategy,
        "objective": OBJECTIVE,
        "ranges": {
            "first": parameter_ranges(settings, retraining=False),
            "retraining": parameter_ranges(settings, retraining=True),
        },
        "definition": {
            "StaticHyperParameters": {name: value for name, value in static.items() if not name.endswith(".$")},
            **{name: definition[name] for name in _NEVER_CHANGED if name in definition},
        },
    }


def tuning_parameters(settings: Settings, environment: JobEnvironment, code_file: str, *, warm: bool) -> dict[str, Any]:
    """CreateHyperParameterTuningJob."""
    tuning = settings.tuning
    limits: dict[str, Any] = {"MaxNumberOfTrainingJobs.$": "$.max_jobs", "MaxParallelTrainingJobs.$": "$.max_parallel_jobs"}
    if "MaxRuntimeInSeconds" in tuning.extra_fields:
        limits["MaxRuntimeInSeconds"] = max(LEAST_RUNTIME_SECONDS, tuning.max_runtime_seconds * most_tuning_jobs(settings))
    config: dict[str, Any] = {
        "Strategy": tuning.strategy,
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE},
        "ResourceLimits": limits,
        "TrainingJobEarlyStoppingType": tuning.early_stopping,
        "ParameterRanges.$": "$.search.ranges",
    }
    if "RandomSeed" in tuning.extra_fields:
        config["RandomSeed"] = tuning.seed
    if "StrategyConfig" in tuning.extra_fields and tuning.strategy == "Hyperband":
        config["StrategyConfig"] = {
            "HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": max(*tuning.epochs, *tuning.retraining.epochs)}
        }
    warm_start = {"WarmStartConfig.$": "$.warm_start"} if warm else {}
    return {
        "HyperParameterTuningJobName.$": "$.tuning_job_name",
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": _training_definition(settings, environment, code_file),
        **warm_start,
    }


def _training_definition(settings: Settings, environment: JobEnvironment, code_file: str) -> dict[str, Any]:
    tuning = settings.tuning
    return {
        "RoleArn": environment.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": environment.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": f"{name}=([0-9.]+)"} for name in METRICS],
        },
        "StaticHyperParameters": static_parameters(settings, code_file),
        "InputDataConfig.$": "$.input_data_config",
        "OutputDataConfig": {"S3OutputPath": environment.output_uri, "KmsKeyId": environment.key_arn},
        "ResourceConfig": {
            "InstanceType": tuning.instance_type,
            "InstanceCount": 1,
            "VolumeSizeInGB": tuning.volume_gb,
            **volume_key(tuning.instance_type, environment.key_arn),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": tuning.max_runtime_seconds},
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": True,
        **vpc_config(settings.network),
        **_second_try(settings),
    }


def _second_try(settings: Settings) -> dict[str, Any]:
    """Retry a job after a fault of the service. A script that fails is not tried again.

    The second try goes on at the epoch that was reached; the bucket's own key encrypts the checkpoints. Without it nobody reads them.
    """
    if "RetryStrategy" not in settings.tuning.extra_fields:
        return {}
    return {"RetryStrategy": {"MaximumRetryAttempts": 2}, "CheckpointConfig": {"S3Uri.$": "$.checkpoint_uri"}}


def evaluation_parameters(settings: Settings, environment: JobEnvironment) -> dict[str, Any]:
    """CreateProcessingJob of one candidate: model, champion (if any), dataset and code in, the report out."""
    tuning = settings.tuning
    arguments = {
        "--input-dir": INPUT,
        "--output-dir": OUTPUT,
        "--seed": tuning.seed,
        "--window": settings.drift.window_predictions,
        "--alpha": settings.drift.false_alarm_rate,
    }
    return {
        # A repeated or redriven step makes another job: a name is taken for ever.
        "ProcessingJobName.$": "States.Format('{}-{}-{}', $.evaluation_job_name, $$.Execution.RedriveCount, $$.State.RetryCount)",
        "RoleArn": environment.role_arn,
        "AppSpecification": {
            "ImageUri": environment.image,
            "ContainerEntrypoint": ["bash", "-c", UNPACK_AND_EVALUATE, "evaluate"],
            "ContainerArguments": [str(part) for item in arguments.items() for part in item],
        },
        "Environment": {"EXIT_MESSAGE_FILE": EXIT_MESSAGE},
        "ProcessingInputs.$": "$.processing_inputs",
        "ProcessingOutputConfig": {
            "KmsKeyId": environment.key_arn,
            "Outputs": [
                {
                    "OutputName": "evaluation",
                    "S3Output": {"S3Uri.$": "$.output_uri", "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"},
                }
            ],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": tuning.evaluation_instance_type,
                "VolumeSizeInGB": tuning.volume_gb,
                **volume_key(tuning.evaluation_instance_type, environment.key_arn),
            }
        },
        "NetworkConfig": {
            "EnableNetworkIsolation": True,
            "EnableInterContainerTrafficEncryption": True,
            **vpc_config(settings.network),
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": tuning.max_runtime_seconds},
    }


def vpc_config(network: NetworkSettings) -> dict[str, Any]:
    """``VpcConfig`` of a job where the settings name a network."""
    if network.mode != "vpc":
        return {}
    return {"VpcConfig": {"SecurityGroupIds": list(network.security_group_ids), "Subnets": list(network.subnet_ids)}}


def outside_dataset(uri: str | None) -> list[tuple[str, str]]:
    """Bucket and key prefix of a first dataset that lies in a bucket of the team's own."""
    if uri is None:
        return []
    parts = urlsplit(uri)
    return [(parts.netloc, parts.path.strip("/") + "/")]
