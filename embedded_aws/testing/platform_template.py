"""A template with every resource type that the embedded AWS adds or patches, each with the properties that are easily dropped."""

from __future__ import annotations

import json
from typing import Any

Template = dict[str, Any]

CODE = """
import json, urllib.request

def handler(event, context):
    properties = event["ResourceProperties"]
    answer = {"Status": "SUCCESS", "PhysicalResourceId": properties.get("Id", "one"), "Data": {"Echo": properties.get("Say", "")}}
    if event["RequestType"] != "Delete" and properties.get("Say") == "fail":
        answer = {**answer, "Status": "FAILED", "Reason": "told to fail"}
    answer |= {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), {"content-type": ""}, method="PUT")
    urllib.request.urlopen(request)
"""


def ref(name: str) -> dict[str, str]:
    return {"Ref": name}


def attribute(name: str, value: str = "Arn") -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, value]}


def resource(kind: str, *depends_on: str, **properties: Any) -> Template:
    return {"Type": f"AWS::{kind}", "Properties": properties, **({"DependsOn": list(depends_on)} if depends_on else {})}


def allow(action: str | list[str], target: Any = "*", **more: Any) -> Template:
    return {"Effect": "Allow", "Action": action, "Resource": target, **more}


def document(*statements: Template) -> Template:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role(service: str, *statements: Template) -> Template:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    policies = [{"PolicyName": "grants", "PolicyDocument": document(*statements)}] if statements else []
    return resource("IAM::Role", AssumeRolePolicyDocument=document(trust), Description=f"for {service}", Policies=policies)


TAGS = [{"Key": "team", "Value": "platform"}]


def storage() -> Template:
    encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": attribute("Key")}
    return {
        "Key": resource(
            "KMS::Key",
            Description="everything",
            EnableKeyRotation=True,
            KeyPolicy=document(allow("kms:*", Principal={"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}})),
            Tags=TAGS,
        ),
        "KeyAlias": resource("KMS::Alias", AliasName={"Fn::Sub": "alias/${AWS::StackName}"}, TargetKeyId=attribute("Key")),
        "LogBucket": resource("S3::Bucket", OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}),
        "Bucket": resource(
            "S3::Bucket",
            BucketEncryption={
                "ServerSideEncryptionConfiguration": [{"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": encryption}]
            },
            LifecycleConfiguration={
                "Rules": [
                    {
                        "Id": "old",
                        "Status": "Enabled",
                        "Prefix": "raw/",
                        "ExpirationInDays": 30,
                        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
                        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
                        "Transitions": [{"StorageClass": "GLACIER", "TransitionInDays": 10}],
                    }
                ]
            },
            LoggingConfiguration={"DestinationBucketName": ref("LogBucket"), "LogFilePrefix": "data/"},
            PublicAccessBlockConfiguration=dict.fromkeys(
                ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
            ),
            VersioningConfiguration={"Status": "Enabled"},
            Tags=TAGS,
        ),
        "BucketPolicy": resource(
            "S3::BucketPolicy",
            Bucket=ref("Bucket"),
            PolicyDocument=document(
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": attribute("Bucket"),
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ),
        ),
        "Table": resource(
            "DynamoDB::Table",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "day")],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            GlobalSecondaryIndexes=[
                {"IndexName": "by-day", "KeySchema": [{"AttributeName": "day", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
            ],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=False,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            SSESpecification={"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": attribute("Key")},
            TimeToLiveSpecification={"AttributeName": "expires_at", "Enabled": "true"},
            Tags=TAGS,
        ),
    }


def messages() -> Template:
    send = allow("sqs:SendMessage", attribute("Queue"), Principal={"Service": "events.amazonaws.com"})
    rule = resource(
        "Events::Rule",
        Description="every hour",
        ScheduleExpression="rate(1 hour)",
        State="DISABLED",
        Targets=[
            {
                "Id": "queue",
                "Arn": attribute("Queue"),
                "DeadLetterConfig": {"Arn": attribute("DeadLetters")},
                "RetryPolicy": {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 300},
                "InputTransformer": {"InputPathsMap": {"time": "$.time"}, "InputTemplate": '{"at": <time>}'},
            }
        ],
    )
    return {
        "DeadLetters": resource("SQS::Queue", MessageRetentionPeriod=1209600, KmsMasterKeyId=attribute("Key")),
        "Queue": resource(
            "SQS::Queue",
            KmsMasterKeyId=attribute("Key"),
            KmsDataKeyReusePeriodSeconds=600,
            RedrivePolicy={"deadLetterTargetArn": attribute("DeadLetters"), "maxReceiveCount": 5},
            VisibilityTimeout=360,
            Tags=TAGS,
        ),
        "QueuePolicy": resource("SQS::QueuePolicy", Queues=[ref("Queue")], PolicyDocument=document(send)),
        "Topic": resource("SNS::Topic", KmsMasterKeyId=attribute("Key"), Tags=TAGS),
        "TopicPolicy": resource(
            "SNS::TopicPolicy",
            Topics=[ref("Topic")],
            PolicyDocument=document(allow("sns:Publish", ref("Topic"), Principal={"Service": "cloudwatch.amazonaws.com"})),
        ),
        "Subscription": resource(
            "SNS::Subscription", TopicArn=ref("Topic"), Protocol="sqs", Endpoint=attribute("Queue"), RawMessageDelivery=True
        ),
        "Rule": rule,
    }


def code() -> Template:
    destination = {"CloudWatchLogsLogGroup": {"LogGroupArn": attribute("Logs")}}
    return {
        "Logs": resource("Logs::LogGroup", RetentionInDays=14, KmsKeyId=attribute("Key"), Tags=TAGS),
        "Query": resource("Logs::QueryDefinition", Name="errors", QueryString="fields @message", LogGroupNames=[ref("Logs")]),
        "FunctionRole": role("lambda.amazonaws.com", allow(["sqs:*", "kms:*"])),
        "Function": resource(
            "Lambda::Function",
            Code={"ZipFile": CODE},
            Handler="index.handler",
            Runtime="python3.12",
            Role=attribute("FunctionRole"),
            Description="answers CloudFormation",
            Environment={"Variables": {"A": "1"}},
            MemorySize=256,
            ReservedConcurrentExecutions=7,
            Timeout=30,
            TracingConfig={"Mode": "Active"},
            LoggingConfig={"LogGroup": ref("Logs")},
            Tags=TAGS,
        ),
        "Async": resource(
            "Lambda::EventInvokeConfig",
            FunctionName=ref("Function"),
            Qualifier="$LATEST",
            MaximumRetryAttempts=1,
            MaximumEventAgeInSeconds=600,
            DestinationConfig={"OnFailure": {"Destination": attribute("DeadLetters")}},
        ),
        "Feed": resource(
            "Lambda::EventSourceMapping",
            FunctionName=ref("Function"),
            EventSourceArn=attribute("DeadLetters"),
            BatchSize=5,
            Enabled=False,
            FunctionResponseTypes=["ReportBatchItemFailures"],
            ScalingConfig={"MaximumConcurrency": 2},
            Tags=TAGS,
        ),
        "MachineRole": role("states.amazonaws.com", allow("logs:*")),
        "Machine": resource(
            "StepFunctions::StateMachine",
            RoleArn=attribute("MachineRole"),
            DefinitionString=json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}),
            LoggingConfiguration={"Destinations": [destination], "IncludeExecutionData": True, "Level": "ERROR"},
            TracingConfiguration={"Enabled": True},
            EncryptionConfiguration={"Type": "CUSTOMER_MANAGED_KMS_KEY", "KmsKeyId": attribute("Key"), "KmsDataKeyReusePeriodSeconds": 300},
            Tags=TAGS,
        ),
        "Echo": {"Type": "Custom::Echo", "Properties": {"ServiceToken": attribute("Function"), "Say": "hello"}},
    }


def api() -> Template:
    uri = {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Function.Arn}/invocations"}
    schema = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "maxLength": 10}}}
    settings = {
        "HttpMethod": "*",
        "ResourcePath": "/*",
        "LoggingLevel": "INFO",
        "MetricsEnabled": True,
        "DataTraceEnabled": False,
        "ThrottlingBurstLimit": 20,
        "ThrottlingRateLimit": 10,
    }
    return {
        "Api": resource("ApiGateway::RestApi", Name={"Ref": "AWS::StackName"}, EndpointConfiguration={"Types": ["REGIONAL"]}, Tags=TAGS),
        "Resource": resource("ApiGateway::Resource", RestApiId=ref("Api"), ParentId=attribute("Api", "RootResourceId"), PathPart="predict"),
        "Model": resource("ApiGateway::Model", RestApiId=ref("Api"), Name="Text", ContentType="application/json", Schema=schema),
        "Validator": resource("ApiGateway::RequestValidator", RestApiId=ref("Api"), Name="body", ValidateRequestBody=True),
        "Method": resource(
            "ApiGateway::Method",
            RestApiId=ref("Api"),
            ResourceId=ref("Resource"),
            HttpMethod="POST",
            AuthorizationType="AWS_IAM",
            RequestModels={"application/json": ref("Model")},
            RequestValidatorId=ref("Validator"),
            Integration={"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": uri, "TimeoutInMillis": 20000},
        ),
        "Deployment": resource("ApiGateway::Deployment", "Method", RestApiId=ref("Api")),
        "Stage": resource(
            "ApiGateway::Stage",
            RestApiId=ref("Api"),
            DeploymentId=ref("Deployment"),
            StageName="v1",
            TracingEnabled=True,
            AccessLogSetting={"DestinationArn": attribute("Logs"), "Format": '{"status":"$context.status"}'},
            MethodSettings=[settings],
            Tags=TAGS,
        ),
        "Permission": resource(
            "Lambda::Permission",
            FunctionName=attribute("Function"),
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn={"Fn::Sub": "arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*/POST/predict"},
        ),
    }


def people() -> Template:
    policy = {
        "MinimumLength": 14,
        "RequireLowercase": True,
        "RequireNumbers": True,
        "RequireSymbols": True,
        "RequireUppercase": True,
        "TemporaryPasswordValidityDays": 3,
    }
    return {
        "Pool": resource(
            "Cognito::UserPool",
            AdminCreateUserConfig={"AllowAdminCreateUserOnly": True},
            DeletionProtection="INACTIVE",
            EnabledMfas=["SOFTWARE_TOKEN_MFA"],
            MfaConfiguration="OPTIONAL",
            Policies={"PasswordPolicy": policy},
            UserPoolTags={"team": "platform"},
        ),
        "Client": resource(
            "Cognito::UserPoolClient", UserPoolId=ref("Pool"), GenerateSecret=True, ExplicitAuthFlows=["ALLOW_REFRESH_TOKEN_AUTH"]
        ),
        "Domain": resource("Cognito::UserPoolDomain", UserPoolId=ref("Pool"), Domain={"Fn::Sub": "${AWS::StackName}-${AWS::AccountId}"}),
        "Group": resource("Cognito::UserPoolGroup", UserPoolId=ref("Pool"), GroupName="reviewers", Description="people"),
        "User": resource(
            "Cognito::UserPoolUser",
            UserPoolId=ref("Pool"),
            Username="ann",
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": "ann@example.com"}],
        ),
        "Member": resource("Cognito::UserPoolUserToGroupAttachment", UserPoolId=ref("Pool"), GroupName=ref("Group"), Username=ref("User")),
        "TaskUi": resource(
            "SageMaker::HumanTaskUi",
            HumanTaskUiName="platform-task",
            UiTemplate={"Content": "<crowd-form><p>{{ task.input.text }}</p><input name='answer'></crowd-form>"},
        ),
        "Packages": resource("SageMaker::ModelPackageGroup", ModelPackageGroupName="platform-packages", Tags=TAGS),
    }


def analytics() -> Template:
    table_input = {
        "Name": "capture",
        "TableType": "EXTERNAL_TABLE",
        "Parameters": {"projection.enabled": "true", "projection.day.type": "date", "storage.location.template": "s3://b/${day}/"},
        "PartitionKeys": [{"Name": "day", "Type": "string"}],
        "StorageDescriptor": {
            "Columns": [{"Name": "body", "Type": "string"}],
            "Location": "s3://b/",
            "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe", "Parameters": {"ignore.malformed.json": "true"}},
        },
    }
    results = {
        "OutputLocation": {"Fn::Sub": "s3://${Bucket}/athena/"},
        "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": attribute("Key")},
    }
    return {
        "Database": resource("Glue::Database", CatalogId={"Ref": "AWS::AccountId"}, DatabaseInput={"Name": "platform"}),
        "Capture": resource("Glue::Table", CatalogId={"Ref": "AWS::AccountId"}, DatabaseName=ref("Database"), TableInput=table_input),
        "WorkGroup": resource(
            "Athena::WorkGroup",
            Name="platform",
            RecursiveDeleteOption=True,
            Tags=TAGS,
            WorkGroupConfiguration={
                "BytesScannedCutoffPerQuery": 10_000_000_000,
                "EnforceWorkGroupConfiguration": True,
                "PublishCloudWatchMetricsEnabled": True,
                "ResultConfiguration": results,
            },
        ),
        "Saved": resource("Athena::NamedQuery", Database=ref("Database"), WorkGroup=ref("WorkGroup"), Name="days", QueryString="SELECT 1"),
        "Alarm": resource(
            "CloudWatch::Alarm",
            AlarmName="platform-math",
            AlarmDescription="share of errors",
            AlarmActions=[ref("Topic")],
            ComparisonOperator="GreaterThanThreshold",
            DatapointsToAlarm=2,
            EvaluationPeriods=3,
            Threshold="0.5",
            TreatMissingData="notBreaching",
            Metrics=[
                {"Id": "e", "Expression": "m / 2", "Label": "half"},
                {
                    "Id": "m",
                    "ReturnData": False,
                    "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"},
                },
            ],
            Tags=TAGS,
        ),
        "Both": resource(
            "CloudWatch::CompositeAlarm",
            AlarmName="platform-both",
            AlarmRule={"Fn::Sub": 'ALARM("${Alarm}")'},
            AlarmActions=[ref("Topic")],
            Tags=TAGS,
        ),
        "Dashboard": resource("CloudWatch::Dashboard", DashboardName="platform", DashboardBody=json.dumps({"widgets": []})),
    }


def hosting(
    bucket: str, role_arn: str, image: str, *, url: str, weight: Any = 1.0, retain: bool = True, deployment: Template | None = None
) -> Template:
    """One endpoint with two variants, all but the endpoint unnamed."""

    def variant(name: str, share: Any) -> Template:
        return {
            "VariantName": name,
            "ModelName": attribute("HostedModel", "ModelName"),
            "InitialInstanceCount": "1",
            "InitialVariantWeight": share,
            "InstanceType": "ml.m5.large",
        }

    target = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
    return {
        "HostedModel": resource(
            "SageMaker::Model",
            ExecutionRoleArn=role_arn,
            EnableNetworkIsolation="true",
            PrimaryContainer={"Image": image, "ModelDataUrl": url},
            Tags=TAGS,
        ),
        "Config": resource(
            "SageMaker::EndpointConfig",
            ProductionVariants=[variant("champion", weight), variant("challenger", 0)],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": "100",
                "DestinationS3Uri": f"s3://{bucket}/capture",
                "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
                "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
            },
            Tags=TAGS,
        ),
        "Endpoint": resource(
            "SageMaker::Endpoint",
            EndpointName="platform-endpoint",
            EndpointConfigName=attribute("Config", "EndpointConfigName"),
            RetainAllVariantProperties=retain,
            Tags=TAGS,
            **({"DeploymentConfig": deployment} if deployment else {}),
        ),
        "Target": resource(
            "ApplicationAutoScaling::ScalableTarget",
            "Endpoint",
            **target,
            ResourceId="endpoint/platform-endpoint/variant/champion",
            MinCapacity="1",
            MaxCapacity=2,
        ),
        "Tracking": resource(
            "ApplicationAutoScaling::ScalingPolicy",
            PolicyName="platform-tracking",
            PolicyType="TargetTrackingScaling",
            ScalingTargetId=ref("Target"),
            TargetTrackingScalingPolicyConfiguration={
                "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
                "TargetValue": 600,
                "ScaleInCooldown": 300,
            },
        ),
    }


def template(*parts: Template, **sections: Any) -> Template:
    resources = {name: body for part in parts for name, body in part.items()}
    return {"AWSTemplateFormatVersion": "2010-09-09", **sections, "Resources": resources}


def everything() -> Template:
    outputs = {"Echoed": {"Value": attribute("Echo", "Echo")}, "Alarm": {"Value": attribute("Both")}}
    return template(storage(), messages(), code(), api(), people(), analytics(), Outputs=outputs)
