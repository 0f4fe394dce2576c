"""Fields of a SageMaker job that Step Functions' own integrations are known to take; any other is refused by name.

Step Functions checks ``Parameters`` against a model that is not published and older than SageMaker's API. When a state machine is made
it refuses what is written there ("The field "key" is not supported by Step Functions": aws/aws-step-functions-data-science-sdk-python
issue 200, aws/aws-cdk issue 10014); when a task starts it refuses what came from the input (same repository, issue 15). So the lists are
of fields that public definitions or AWS's own tools use. They are a lower bound: an account may take more.

Sources: [D] Step Functions developer guide, "Create and manage Amazon SageMaker AI jobs with Step Functions"; [C] aws-cdk's
SageMakerCreateTrainingJob; [S] aws-step-functions-data-science-sdk-python: TrainingStep, TuningStep and ProcessingStep, whose requests
``sagemaker.workflow.airflow`` makes; [A] in no definition that was found, but older in SageMaker's API than ``EnableManagedSpotTraining``
(2019-08-26), which public ``createTrainingJob.sync`` definitions have.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

Tree = Mapping[str, "Tree | None"]
"""Field -> its own fields; None for a value, a list of values or a map with keys of the caller's own."""

_TAKEN_HERE = frozenset(filter(None, os.environ.get("EMBEDDED_AWS_STEP_FUNCTIONS_FIELDS", "").split(",")))
"""Further field names that this embedded AWS takes, as the account that it stands for does (setting ``tuning.extra_fields``)."""
_SAGEMAKER = re.compile(r"arn:aws[a-z-]*:states:::sagemaker:(create\w+)(?:\.sync)?")


def _tree(names: str, **nested: Tree) -> Tree:
    return {**dict.fromkeys(names.split()), **nested}


_TAGS = _tree("Key Value")  # S
_VPC = _tree("SecurityGroupIds Subnets")  # C
_S3_SOURCE = _tree("AttributeNames S3DataDistributionType S3DataType S3Uri")  # D, C
_CHANNELS = _tree("ChannelName CompressionType ContentType InputMode RecordWrapperType", DataSource=_tree("", S3DataSource=_S3_SOURCE))  # C
_TRAINING: Tree = {
    **_tree("RoleArn EnableNetworkIsolation EnableManagedSpotTraining EnableInterContainerTrafficEncryption"),  # D, C, D, A
    "AlgorithmSpecification": _tree("AlgorithmName TrainingImage TrainingInputMode", MetricDefinitions=_tree("Name Regex")),  # C
    "CheckpointConfig": _tree("LocalPath S3Uri"),  # A
    "InputDataConfig": _CHANNELS,
    "OutputDataConfig": _tree("KmsKeyId S3OutputPath"),  # C
    "ResourceConfig": _tree("InstanceCount InstanceType VolumeKmsKeyId VolumeSizeInGB"),  # C
    "StoppingCondition": _tree("MaxRuntimeInSeconds MaxWaitTimeInSeconds"),  # C; the second beside EnableManagedSpotTraining
    "VpcConfig": _VPC,
}
_RANGE = _tree("MaxValue MinValue Name ScalingType")  # S
ACCEPTED: Mapping[str, Tree] = {
    "createTrainingJob": {**_TRAINING, **_tree("Environment HyperParameters TrainingJobName"), "Tags": _TAGS},  # C
    "createHyperParameterTuningJob": {
        "HyperParameterTuningJobName": None,
        "HyperParameterTuningJobConfig": {  # S
            **_tree("Strategy TrainingJobEarlyStoppingType"),
            "HyperParameterTuningJobObjective": _tree("MetricName Type"),
            "ParameterRanges": {
                "CategoricalParameterRanges": _tree("Name Values"),
                "ContinuousParameterRanges": _RANGE,
                "IntegerParameterRanges": _RANGE,
            },
            "ResourceLimits": _tree("MaxNumberOfTrainingJobs MaxParallelTrainingJobs"),
        },
        "TrainingJobDefinition": {**_TRAINING, "StaticHyperParameters": None},  # S
        "WarmStartConfig": _tree("WarmStartType", ParentHyperParameterTuningJobs=_tree("HyperParameterTuningJobName")),  # S
        "Tags": _TAGS,
    },
    "createProcessingJob": {  # D, S
        **_tree("Environment ProcessingJobName RoleArn"),
        "AppSpecification": _tree("ContainerArguments ContainerEntrypoint ImageUri"),
        "ExperimentConfig": _tree("ExperimentName TrialComponentDisplayName TrialName"),
        "NetworkConfig": _tree("EnableInterContainerTrafficEncryption EnableNetworkIsolation", VpcConfig=_VPC),
        "ProcessingInputs": _tree(
            "InputName", S3Input=_tree("LocalPath S3CompressionType S3DataDistributionType S3DataType S3InputMode S3Uri")
        ),
        "ProcessingOutputConfig": _tree("KmsKeyId", Outputs=_tree("OutputName", S3Output=_tree("LocalPath S3UploadMode S3Uri"))),
        "ProcessingResources": _tree("", ClusterConfig=_tree("InstanceCount InstanceType VolumeKmsKeyId VolumeSizeInGB")),
        "StoppingCondition": _tree("MaxRuntimeInSeconds"),
        "Tags": _TAGS,
    },
    "createLabelingJob": {  # D; KmsKeyId and TaskAvailabilityLifetimeInSeconds: A, of the API's first labelling jobs (2018-11-28)
        **_tree("LabelAttributeName LabelCategoryConfigS3Uri LabelingJobName RoleArn"),
        "HumanTaskConfig": {
            **_tree("MaxConcurrentTaskCount NumberOfHumanWorkersPerDataObject PreHumanTaskLambdaArn TaskAvailabilityLifetimeInSeconds"),
            **_tree("TaskDescription TaskKeywords TaskTimeLimitInSeconds TaskTitle WorkteamArn"),
            "AnnotationConsolidationConfig": _tree("AnnotationConsolidationLambdaArn"),
            "UiConfig": _tree("UiTemplateS3Uri"),
        },
        "InputConfig": {
            "DataAttributes": _tree("ContentClassifiers"),
            "DataSource": _tree("", S3DataSource=_tree("ManifestS3Uri")),
        },
        "OutputConfig": _tree("KmsKeyId S3OutputPath"),
        "StoppingConditions": _tree("MaxHumanLabeledObjectCount MaxPercentageOfInputDatasetLabeled"),
        "Tags": _TAGS,
    },
}


def refused(resource: str, parameters: Any, also: frozenset[str] = _TAKEN_HERE) -> Iterator[str]:
    """Names of the fields of a task's ``Parameters`` that Step Functions is not known to take; none of other integrations.

    Args:
        resource: the task's ``Resource``.
        parameters: as in the definition (fields that end in ``.$`` count without it), or resolved.
        also: field names that are taken wherever they stand.
    """
    found = _SAGEMAKER.fullmatch(resource)
    if found and found[1] in ACCEPTED:
        yield from _unknown(parameters, ACCEPTED[found[1]], also)


def _unknown(value: Any, tree: Tree, also: frozenset[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _unknown(item, tree, also)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            name = key.removesuffix(".$")
            if name not in tree and name not in also:
                yield name
            elif (below := tree.get(name)) is not None:
                yield from _unknown(item, below, also)


def invalid_definition(text: Any) -> str | None:
    """The service's refusal of a state machine for a field that it does not take, or None."""
    try:
        definition = json.loads(text)
    except (TypeError, ValueError):
        return None
    for path, state in _states(definition, ""):
        for given in ("Parameters", "Arguments"):
            for field in refused(str(state.get("Resource", "")), state.get(given)):
                return f'SCHEMA_VALIDATION_FAILED: The field "{field}" is not supported by Step Functions at {path}/{given}'
    return None


def _states(machine: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state of a machine, of its maps and of its parallel branches, with its path."""
    if not isinstance(machine, Mapping):
        return
    for name, state in machine.get("States", {}).items():
        here = f"{path}/States/{name}"
        yield here, state
        for inner in ("ItemProcessor", "Iterator"):
            yield from _states(state.get(inner), f"{here}/{inner}")
        for number, branch in enumerate(state.get("Branches", [])):
            yield from _states(branch, f"{here}/Branches[{number}]")
