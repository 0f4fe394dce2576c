"""Training, tuning and processing jobs."""

from __future__ import annotations

from embedded_aws.sagemaker.decisions.kinds import (
    HONOURED,
    IMAGE,
    INSTANCE_TYPE,
    NETWORK,
    NOT_HERE,
    ONE_INSTANCE,
    TAGS,
    VOLUME,
    Ignored,
    Only,
    Refused,
    Table,
)

_FILE_MODE = Only("channels are copied before the program starts: File", "File")
_NOT_SPLIT = Only("one process sees every object: FullyReplicated", "FullyReplicated")
_PLAIN = Only("objects are copied as they are: None", "None")
_SPOT = Ignored("a matter of price: nothing is interrupted here")
_NOT_INTERRUPTED = Ignored("the service interrupts no job here, so there is nothing to try again")
_DEBUG = Refused("Debugger and Profiler are not part of the embedded AWS: leave it out")

_CHANNEL: Table = {
    "ChannelName": HONOURED,
    "DataSource": {
        "S3DataSource": {
            "S3DataType": Only("a prefix or an object's key: S3Prefix", "S3Prefix"),
            "S3Uri": HONOURED,
            "S3DataDistributionType": _NOT_SPLIT,
            "AttributeNames": NOT_HERE,
            "InstanceGroupNames": NOT_HERE,
            "ModelAccessConfig": NOT_HERE,
            "HubAccessConfig": NOT_HERE,
        },
        "FileSystemDataSource": Refused("channels come from S3 here: use S3DataSource"),
        "DatasetSource": Refused("channels come from S3 here: use S3DataSource"),
    },
    "ContentType": HONOURED,
    "CompressionType": _PLAIN,
    "RecordWrapperType": Only("records are not wrapped: None", "None"),
    "InputMode": _FILE_MODE,
    "ShuffleConfig": NOT_HERE,
}
_RESOURCES: Table = {
    "InstanceType": INSTANCE_TYPE,
    "InstanceCount": ONE_INSTANCE,
    "VolumeSizeInGB": VOLUME,
    "VolumeKmsKeyId": VOLUME,
    "KeepAlivePeriodInSeconds": Refused("no instance is kept warm here: leave it out"),
    "InstanceGroups": Refused("every job runs as one process here: use InstanceType and InstanceCount"),
    "TrainingPlanArn": NOT_HERE,
    "InstancePlacementConfig": NOT_HERE,
    "InstancePreferences": NOT_HERE,
    "SelectedInstanceType": NOT_HERE,
    "SelectedInstanceCount": NOT_HERE,
}
_STOPPING: Table = {"MaxRuntimeInSeconds": HONOURED, "MaxWaitTimeInSeconds": _SPOT, "MaxPendingTimeInSeconds": Ignored("no job waits here")}
_OUTPUT: Table = {"KmsKeyId": HONOURED, "S3OutputPath": HONOURED, "CompressionType": Only("model.tar.gz is written: GZIP", "GZIP")}
_METRICS: Table = {"Name": HONOURED, "Regex": HONOURED}
_ALGORITHM: Table = {
    "TrainingImage": IMAGE,
    "AlgorithmName": Refused("give a TrainingImage"),
    "TrainingInputMode": _FILE_MODE,
    "MetricDefinitions": _METRICS,
}
_COMMON: Table = {
    "RoleArn": HONOURED,
    "InputDataConfig": _CHANNEL,
    "OutputDataConfig": _OUTPUT,
    "ResourceConfig": _RESOURCES,
    "VpcConfig": NETWORK,
    "StoppingCondition": _STOPPING,
    "EnableNetworkIsolation": HONOURED,
    "EnableInterContainerTrafficEncryption": Ignored("one container has nobody to talk to"),
    "EnableManagedSpotTraining": _SPOT,
    "CheckpointConfig": {"S3Uri": HONOURED, "LocalPath": HONOURED},
    "Environment": HONOURED,
    "RetryStrategy": _NOT_INTERRUPTED,
}
_RANGES: Table = {
    "IntegerParameterRanges": {"Name": HONOURED, "MinValue": HONOURED, "MaxValue": HONOURED, "ScalingType": HONOURED},
    "ContinuousParameterRanges": {"Name": HONOURED, "MinValue": HONOURED, "MaxValue": HONOURED, "ScalingType": HONOURED},
    "CategoricalParameterRanges": {"Name": HONOURED, "Values": HONOURED},
    "AutoParameters": Refused("name each range"),
}
_SERVICE_IMAGE = Ignored("the image is pulled by nobody here")

TABLES: dict[str, Table] = {
    "CreateTrainingJob": {
        **_COMMON,
        "TrainingJobName": HONOURED,
        "HyperParameters": HONOURED,
        "AlgorithmSpecification": {
            **_ALGORITHM,
            "EnableSageMakerMetricsTimeSeries": Ignored("metrics are kept as a time series anyway"),
            "ContainerEntrypoint": HONOURED,
            "ContainerArguments": HONOURED,
            "TrainingImageConfig": _SERVICE_IMAGE,
        },
        "Tags": TAGS,
        "DebugHookConfig": _DEBUG,
        "DebugRuleConfigurations": _DEBUG,
        "TensorBoardOutputConfig": Refused("write logs into /opt/ml/output/data instead"),
        "ExperimentConfig": Ignored("experiments only group jobs in Studio"),
        "ProfilerConfig": {
            "S3OutputPath": _DEBUG,
            "ProfilingIntervalInMilliseconds": _DEBUG,
            "ProfilingParameters": _DEBUG,
            "DisableProfiler": Only("there is no profiler here: True", True),
        },
        "ProfilerRuleConfigurations": _DEBUG,
        "RemoteDebugConfig": {"EnableRemoteDebug": Only("there is no container to connect to: False", False)},
        "InfraCheckConfig": Ignored("there is no GPU host to check"),
        "SessionChainingConfig": {"EnableSessionTagChaining": Only("sessions carry no tags here: False", False)},
        "ServerlessJobConfig": Refused("give AlgorithmSpecification and ResourceConfig"),
        "MlflowConfig": NOT_HERE,
        "ModelPackageConfig": Refused("register the model with CreateModelPackage"),
    },
    "CreateHyperParameterTuningJob": {
        "HyperParameterTuningJobName": HONOURED,
        "HyperParameterTuningJobConfig": {
            "Strategy": HONOURED,
            "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": HONOURED, "MaxResource": HONOURED}},
            "HyperParameterTuningJobObjective": {"Type": HONOURED, "MetricName": HONOURED},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": HONOURED, "MaxParallelTrainingJobs": HONOURED, "MaxRuntimeInSeconds": HONOURED},
            "ParameterRanges": _RANGES,
            "TrainingJobEarlyStoppingType": HONOURED,
            "TuningJobCompletionCriteria": Refused("a tuning job ends with its ResourceLimits here: leave it out"),
            "RandomSeed": HONOURED,
        },
        "TrainingJobDefinition": {
            **_COMMON,
            "DefinitionName": Ignored("one definition needs no name"),
            "TuningObjective": Refused("the objective stands in HyperParameterTuningJobConfig"),
            "HyperParameterRanges": Refused("the ranges stand in HyperParameterTuningJobConfig"),
            "StaticHyperParameters": HONOURED,
            "AlgorithmSpecification": _ALGORITHM,
            "HyperParameterTuningResourceConfig": Refused("use ResourceConfig"),
        },
        "TrainingJobDefinitions": Refused("tuning jobs have one TrainingJobDefinition here"),
        "WarmStartConfig": {"ParentHyperParameterTuningJobs": {"HyperParameterTuningJobName": HONOURED}, "WarmStartType": HONOURED},
        "Tags": TAGS,
        "Autotune": Refused("name ranges, strategy and limits"),
    },
    "CreateProcessingJob": {
        "ProcessingInputs": {
            "InputName": HONOURED,
            "AppManaged": Only("inputs are copied before the program starts: False", False),
            "S3Input": {
                "S3Uri": HONOURED,
                "LocalPath": HONOURED,
                "S3DataType": Only("a prefix or an object's key: S3Prefix", "S3Prefix"),
                "S3InputMode": _FILE_MODE,
                "S3DataDistributionType": _NOT_SPLIT,
                "S3CompressionType": _PLAIN,
            },
            "DatasetDefinition": Refused("inputs come from S3 here: use S3Input"),
        },
        "ProcessingOutputConfig": {
            "Outputs": {
                "OutputName": HONOURED,
                "S3Output": {
                    "S3Uri": HONOURED,
                    "LocalPath": HONOURED,
                    "S3UploadMode": Only("outputs are copied when the program has ended: EndOfJob", "EndOfJob"),
                },
                "FeatureStoreOutput": Refused("outputs go to S3 here: use S3Output"),
                "AppManaged": Only("outputs are copied when the program has ended: False", False),
            },
            "KmsKeyId": HONOURED,
        },
        "ProcessingJobName": HONOURED,
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": ONE_INSTANCE,
                "InstanceType": INSTANCE_TYPE,
                "VolumeSizeInGB": VOLUME,
                "VolumeKmsKeyId": VOLUME,
                "InstancePreferences": NOT_HERE,
                "SelectedInstanceType": NOT_HERE,
                "SelectedInstanceCount": NOT_HERE,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": HONOURED},
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": HONOURED, "ContainerArguments": HONOURED},
        "Environment": HONOURED,
        "NetworkConfig": {
            "EnableInterContainerTrafficEncryption": Ignored("one container has nobody to talk to"),
            "EnableNetworkIsolation": HONOURED,
            "VpcConfig": NETWORK,
        },
        "RoleArn": HONOURED,
        "Tags": TAGS,
        "ExperimentConfig": Ignored("experiments only group jobs in Studio"),
    },
}
