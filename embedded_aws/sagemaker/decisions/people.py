"""Workforces, work teams, human review and labelling."""

from __future__ import annotations

from embedded_aws.sagemaker.decisions.kinds import BY_THE_OPERATION, HONOURED, NETWORK, NOT_HERE, TAGS, Ignored, Only, Refused, Table

_PRICE = Refused("the embedded AWS has a private workforce only, which is not paid per task: leave it out")
_SHOWN = Ignored("the worker page shows the template, which has the task's own words")

TABLES: dict[str, Table] = {
    "CreateWorkforce": {
        "CognitoConfig": {"UserPool": HONOURED, "ClientId": HONOURED},
        "OidcConfig": BY_THE_OPERATION,
        "SourceIpConfig": Ignored("everybody comes from this machine"),
        "WorkforceName": HONOURED,
        "Tags": TAGS,
        "WorkforceVpcConfig": NETWORK,
        "IpAddressType": Only("the loopback interface: ipv4", "ipv4"),
    },
    "CreateWorkteam": {
        "WorkteamName": HONOURED,
        "WorkforceName": HONOURED,
        "MemberDefinitions": {
            "CognitoMemberDefinition": {"UserPool": HONOURED, "UserGroup": HONOURED, "ClientId": HONOURED},
            "OidcMemberDefinition": BY_THE_OPERATION,
        },
        "Description": HONOURED,
        "NotificationConfiguration": Ignored("workers are not notified: the page shows what there is"),
        "WorkerAccessConfiguration": NOT_HERE,
        "Tags": TAGS,
    },
    "CreateFlowDefinition": {
        "FlowDefinitionName": HONOURED,
        "HumanLoopRequestSource": BY_THE_OPERATION,
        "HumanLoopActivationConfig": BY_THE_OPERATION,
        "HumanLoopConfig": {
            "WorkteamArn": HONOURED,
            "HumanTaskUiArn": HONOURED,
            "TaskTitle": HONOURED,
            "TaskDescription": HONOURED,
            "TaskCount": HONOURED,
            "TaskAvailabilityLifetimeInSeconds": HONOURED,
            "TaskTimeLimitInSeconds": HONOURED,
            "TaskKeywords": _SHOWN,
            "PublicWorkforceTaskPrice": _PRICE,
        },
        "OutputConfig": {"S3OutputPath": HONOURED, "KmsKeyId": HONOURED},
        "RoleArn": HONOURED,
        "Tags": TAGS,
    },
    "CreateHumanTaskUi": {"HumanTaskUiName": HONOURED, "UiTemplate": {"Content": HONOURED}, "Tags": TAGS},
    "CreateLabelingJob": {
        "LabelingJobName": HONOURED,
        "LabelAttributeName": HONOURED,
        "InputConfig": {
            "DataSource": {"S3DataSource": {"ManifestS3Uri": HONOURED}, "SnsDataSource": BY_THE_OPERATION},
            "DataAttributes": Ignored("a statement about the content that the service does not look at"),
        },
        "OutputConfig": {"S3OutputPath": HONOURED, "KmsKeyId": HONOURED, "SnsTopicArn": Refused("it is for streaming jobs only")},
        "RoleArn": HONOURED,
        "LabelCategoryConfigS3Uri": HONOURED,
        "StoppingConditions": HONOURED,
        "LabelingJobAlgorithmsConfig": BY_THE_OPERATION,
        "HumanTaskConfig": {
            "WorkteamArn": HONOURED,
            "UiConfig": HONOURED,
            "PreHumanTaskLambdaArn": HONOURED,
            "TaskKeywords": _SHOWN,
            "TaskTitle": HONOURED,
            "TaskDescription": HONOURED,
            "NumberOfHumanWorkersPerDataObject": HONOURED,
            "TaskTimeLimitInSeconds": HONOURED,
            "TaskAvailabilityLifetimeInSeconds": HONOURED,
            "MaxConcurrentTaskCount": HONOURED,
            "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": HONOURED},
            "PublicWorkforceTaskPrice": _PRICE,
        },
        "Tags": TAGS,
    },
}
