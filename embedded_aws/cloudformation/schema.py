"""What the CloudFormation registry says about the types that this extension adds; no dependency, so tests compare it with the registry.

Source: the registry schemas (``properties`` without the read-only ones, ``createOnlyProperties``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TypeSchema:
    """One resource type.

    Attributes:
        properties: what a template may set.
        create_only: properties whose change replaces the resource.
        name_property: the explicit physical name, which blocks a replacement while it stays the same.
        required: what a template must set.
    """

    type_name: str
    properties: frozenset[str]
    create_only: frozenset[str]
    name_property: str | None = None
    required: frozenset[str] = frozenset()

    def problems(self, properties: dict[str, object]) -> list[str]:
        """CloudFormation's property validation, in its wording; empty when the properties fit."""
        unknown = [f"#: extraneous key [{key}] is not permitted" for key in sorted(properties) if key not in self.properties]
        missing = [f"#: required key [{key}] not found" for key in sorted(self.required) if key not in properties]
        return unknown + missing


def _type(type_name: str, create_only: str, mutable: str, *, name: str | None = None, required: str = "") -> TypeSchema:
    fixed, free = frozenset(create_only.split()), frozenset(mutable.split())
    return TypeSchema(type_name, fixed | free, fixed, name, frozenset(required.split()))


SCHEMAS = {
    schema.type_name: schema
    for schema in (
        _type(
            "AWS::SageMaker::Model",
            "Containers EnableNetworkIsolation ExecutionRoleArn InferenceExecutionConfig ModelName PrimaryContainer VpcConfig",
            "Tags",
            name="ModelName",
        ),
        _type(
            "AWS::SageMaker::EndpointConfig",
            "AsyncInferenceConfig DataCaptureConfig EnableNetworkIsolation EndpointConfigName ExecutionRoleArn ExplainerConfig KmsKeyId"
            " MetricsConfig ProductionVariants ShadowProductionVariants VpcConfig",
            "Tags",
            name="EndpointConfigName",
            required="ProductionVariants",
        ),
        _type(
            "AWS::SageMaker::Endpoint",
            "EndpointName",
            "DeploymentConfig EndpointConfigName ExcludeRetainedVariantProperties RetainAllVariantProperties RetainDeploymentConfig Tags",
            name="EndpointName",
            required="EndpointConfigName",
        ),
        _type(
            "AWS::SageMaker::ModelPackageGroup",
            "ModelPackageGroupName ModelPackageGroupDescription",
            "ModelPackageGroupPolicy Tags",
            name="ModelPackageGroupName",
            required="ModelPackageGroupName",
        ),
        _type("AWS::SageMaker::HumanTaskUi", "HumanTaskUiName UiTemplate", "Tags", name="HumanTaskUiName", required="HumanTaskUiName"),
        _type(
            "AWS::SageMaker::Workforce",
            "CognitoConfig WorkforceName",
            "IpAddressType OidcConfig SourceIpConfig Tags WorkforceVpcConfig",
            name="WorkforceName",
            required="WorkforceName",
        ),
        _type(
            "AWS::SageMaker::Workteam",
            "WorkforceName WorkteamName",
            "Description MemberDefinitions NotificationConfiguration Tags",
            name="WorkteamName",
            required="Description MemberDefinitions",
        ),
        _type(
            "AWS::ApplicationAutoScaling::ScalableTarget",
            "ResourceId ScalableDimension ServiceNamespace",
            "MaxCapacity MinCapacity RoleARN ScheduledActions SuspendedState Tags",
            required="MaxCapacity MinCapacity ResourceId ScalableDimension ServiceNamespace",
        ),
        _type(
            "AWS::ApplicationAutoScaling::ScalingPolicy",
            "PolicyName ResourceId ScalableDimension ScalingTargetId ServiceNamespace",
            "PolicyType PredictiveScalingPolicyConfiguration StepScalingPolicyConfiguration TargetTrackingScalingPolicyConfiguration",
            name="PolicyName",
            required="PolicyName PolicyType",
        ),
        _type(
            "AWS::CloudWatch::CompositeAlarm",
            "AlarmName",
            "ActionsEnabled ActionConfiguration ActionsSuppressor ActionsSuppressorExtensionPeriod ActionsSuppressorWaitPeriod"
            " AlarmActions AlarmDescription AlarmRule InsufficientDataActions OKActions Tags",
            name="AlarmName",
            required="AlarmRule",
        ),
        _type(
            "AWS::Cognito::UserPoolUser",
            "ClientMetadata DesiredDeliveryMediums ForceAliasCreation MessageAction UserAttributes UserPoolId Username ValidationData",
            "",
            name="Username",
            required="UserPoolId",
        ),
        _type(
            "AWS::Cognito::UserPoolUserToGroupAttachment",
            "GroupName UserPoolId Username",
            "",
            required="GroupName UserPoolId Username",
        ),
        _type("AWS::Logs::QueryDefinition", "", "LogGroupNames Name Parameters QueryLanguage QueryString", required="Name QueryString"),
        _type("AWS::ApiGateway::RequestValidator", "Name RestApiId", "ValidateRequestBody ValidateRequestParameters", required="RestApiId"),
        _type("AWS::Athena::NamedQuery", "Database Description Name QueryString WorkGroup", "", required="Database QueryString"),
    )
}
