"""The A/B endpoint behind the condition "has a release", its autoscaling and rollback alarms, and the prediction API."""

from __future__ import annotations

from typing import Any

from aws_cdk import (
    CfnCondition,
    CfnDeletionPolicy,
    CfnOutput,
    CfnParameter,
    CfnResource,
    Environment,
    Fn,
    Stack,
    Token,
)
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from contracts.shared_words import CHALLENGER, CHAMPION, NO_RELEASE, VARIANTS
from stacks.constructs.endpoint_alarms import VariantAlarms
from stacks.constructs.endpoint_role import EndpointRole
from stacks.constructs.prediction_api import PredictionApi
from stacks.constructs.shared import SharedResources
from stacks.images import has_local_storage
from stacks.settings import Settings
from stacks.settings.scaling import ScalingSettings
from stacks.template_names import template_names

SCALABLE_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
SCALING_METRICS = {
    "invocations": "SageMakerVariantInvocationsPerInstance",
    "concurrency": "SageMakerVariantConcurrentRequestsPerModelHighResolution",
}
"""Predefined metrics of Application Auto Scaling (its API reference, PredefinedMetricSpecification)."""


class EndpointStack(Stack):
    """Hosting of the current release, and the API in front of it.

    The release is one SSM record, read as a parameter: a rollout changes the record and updates this stack with its
    previous template, so a ``cdk deploy`` and a rollout never undo each other.
    """

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = template_names(settings)
        super().__init__(scope, self.names.stack("endpoint"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.shared = SharedResources(self, settings)
        self.release = CfnParameter(
            self,
            "Release",
            type="AWS::SSM::Parameter::Value<List<String>>",
            default=self.names.parameter("release"),
            description="SSM parameter with the model packages of champion and challenger",
        )
        packages = {variant: Fn.select(index, self.release.value_as_list) for index, variant in enumerate(VARIANTS)}
        self.has_release = CfnCondition(
            self, "HasRelease", expression=Fn.condition_not(Fn.condition_equals(packages[CHAMPION], NO_RELEASE))
        )
        self.has_challenger = CfnCondition(
            self, "HasChallenger", expression=Fn.condition_not(Fn.condition_equals(packages[CHAMPION], packages[CHALLENGER]))
        )
        self.role = EndpointRole(self, "EndpointRole", shared=self.shared)
        for variant in VARIANTS:
            VariantAlarms(self, f"Alarms-{variant}", shared=self.shared, variant=variant)
        self._hosting(packages)
        api = PredictionApi(self, "Predictions", shared=self.shared)
        CfnOutput(self, "ApiUrl", value=api.url)
        CfnOutput(self, "PredictUrl", value=f"{api.url}predict")

    def _only_with_release(self, resource: CfnResource) -> None:
        resource.cfn_options.condition = self.has_release

    def _kept_when_replaced(self, resource: CfnResource) -> None:
        """What an endpoint may still run when CloudFormation takes it for replaced.

        An update that an alarm rolled back leaves the endpoint InService on its *old* configuration, and CloudFormation
        reports success: cleaning up, it would delete that configuration and its models. No UpdateEndpoint works after
        that, and no instance can be added (embedded_aws/tests/test_cloudformation_types.py shows it). They cost nothing.
        """
        resource.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        resource.cfn_options.deletion_policy = CfnDeletionPolicy.DELETE

    def _hosting(self, packages: dict[str, str]) -> None:
        models = {variant: self._model(variant, packages[variant]) for variant in VARIANTS}
        config = self._endpoint_config(models)
        alarms = [name for variant in VARIANTS for name in self._rollback_alarms(variant, config).names]
        endpoint = sagemaker.CfnEndpoint(
            self,
            "Endpoint",
            endpoint_name=self.names.endpoint,
            endpoint_config_name=config.attr_endpoint_config_name,
            retain_all_variant_properties=True,
            deployment_config=self._deployment(alarms),
        )
        self._only_with_release(endpoint)
        if self.settings.hosting.scaling:
            for variant in VARIANTS:
                self._autoscale(variant, endpoint, self.settings.hosting.scaling)

    def _model(self, variant: str, package_arn: str) -> sagemaker.CfnModel:
        network = self.settings.network
        model = sagemaker.CfnModel(
            self,
            f"Model-{variant}",
            execution_role_arn=self.role.role.role_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(model_package_name=package_arn),
            enable_network_isolation=True,
            vpc_config=sagemaker.CfnModel.VpcConfigProperty(
                security_group_ids=list(network.security_group_ids), subnets=list(network.subnet_ids)
            )
            if network.mode == "vpc"
            else None,
        )
        # CreateModel reads the artifact at once: without this the first deploy races the role's policy.
        model.node.add_dependency(self.role.policy)
        self._only_with_release(model)
        self._kept_when_replaced(model)
        return model

    def _endpoint_config(self, models: dict[str, sagemaker.CfnModel]) -> sagemaker.CfnEndpointConfig:
        """Unnamed: a configuration is immutable, and a fixed name would block every update."""
        hosting = self.settings.hosting
        beside_champion = Fn.condition_if(self.has_challenger.logical_id, hosting.initial_weights["challenger"], 0)
        weights = {CHAMPION: hosting.initial_weights["champion"], CHALLENGER: Token.as_number(beside_champion)}
        config = sagemaker.CfnEndpointConfig(
            self,
            "EndpointConfig",
            kms_key_id=None if has_local_storage(hosting.instance_type) else self.shared.key.key_arn,
            production_variants=[
                sagemaker.CfnEndpointConfig.ProductionVariantProperty(
                    variant_name=variant,
                    model_name=models[variant].attr_model_name,
                    instance_type=hosting.instance_type,
                    initial_instance_count=hosting.initial_instance_count,
                    initial_variant_weight=weights[variant],
                )
                for variant in VARIANTS
            ],
            data_capture_config=self._capture() if hosting.capture == "endpoint" else None,
        )
        self._only_with_release(config)
        self._kept_when_replaced(config)
        return config

    def _capture(self) -> sagemaker.CfnEndpointConfig.DataCaptureConfigProperty:
        return sagemaker.CfnEndpointConfig.DataCaptureConfigProperty(
            enable_capture=True,
            initial_sampling_percentage=self.settings.hosting.capture_percent,
            destination_s3_uri=f"s3://{self.names.bucket('capture')}/capture",
            kms_key_id=self.shared.key.key_arn,
            capture_options=[sagemaker.CfnEndpointConfig.CaptureOptionProperty(capture_mode=mode) for mode in ("Input", "Output")],
            capture_content_type_header=sagemaker.CfnEndpointConfig.CaptureContentTypeHeaderProperty(
                json_content_types=["application/json"]
            ),
        )

    def _deployment(self, alarms: list[str]) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
        shift = self.settings.hosting.fleet_shift
        step = sagemaker.CfnEndpoint.CapacitySizeProperty(type="CAPACITY_PERCENT", value=shift.step_percent)
        routing = sagemaker.CfnEndpoint.TrafficRoutingConfigProperty(
            type=shift.type,
            wait_interval_in_seconds=shift.wait_seconds,
            canary_size=step if shift.type == "CANARY" else None,
            linear_step_size=step if shift.type == "LINEAR" else None,
        )
        return sagemaker.CfnEndpoint.DeploymentConfigProperty(
            blue_green_update_policy=sagemaker.CfnEndpoint.BlueGreenUpdatePolicyProperty(
                traffic_routing_configuration=routing,
                termination_wait_in_seconds=shift.termination_wait_seconds,
                maximum_execution_timeout_in_seconds=shift.max_execution_seconds,
            ),
            auto_rollback_configuration=sagemaker.CfnEndpoint.AutoRollbackConfigProperty(
                alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=name) for name in alarms]
            ),
        )

    def _rollback_alarms(self, variant: str, config: sagemaker.CfnEndpointConfig) -> VariantAlarms:
        return VariantAlarms(
            self,
            f"GreenAlarms-{variant}",
            shared=self.shared,
            variant=variant,
            config_name=config.attr_endpoint_config_name,
            condition=self.has_release,
        )

    def _autoscale(self, variant: str, endpoint: sagemaker.CfnEndpoint, scaling: ScalingSettings) -> None:
        resource_id = f"endpoint/{self.names.endpoint}/variant/{variant}"
        target = autoscaling.CfnScalableTarget(
            self,
            f"Scaling-{variant}",
            service_namespace="sagemaker",
            resource_id=resource_id,
            scalable_dimension=SCALABLE_DIMENSION,
            min_capacity=scaling.min_instances,
            max_capacity=scaling.max_instances,
            scheduled_actions=[
                autoscaling.CfnScalableTarget.ScheduledActionProperty(
                    scheduled_action_name=f"floor-{number}",
                    schedule=f"cron({cron})",
                    scalable_target_action=autoscaling.CfnScalableTarget.ScalableTargetActionProperty(min_capacity=fewest),
                )
                for number, (cron, fewest) in enumerate(scaling.floors.items(), 1)
            ]
            # A challenger's bounds follow the rollout: a floor above its fewest instances would be outside of them.
            if scaling.floors and variant == CHAMPION
            else None,
        )
        target.add_resource_dependency(endpoint)
        policy = autoscaling.CfnScalingPolicy(
            self,
            f"ScalingPolicy-{variant}",
            policy_name=self.names.scaling_policy(variant),
            policy_type="TargetTrackingScaling",
            service_namespace="sagemaker",
            resource_id=resource_id,
            scalable_dimension=SCALABLE_DIMENSION,
            target_tracking_scaling_policy_configuration=autoscaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=scaling.target,
                scale_in_cooldown=scaling.scale_in_cooldown_seconds,
                scale_out_cooldown=scaling.scale_out_cooldown_seconds,
                predefined_metric_specification=autoscaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(
                    predefined_metric_type=SCALING_METRICS[scaling.metric]
                ),
            ),
        )
        policy.add_resource_dependency(target)
        for item in (target, policy):
            self._only_with_release(item)
