"""The A/B endpoint behind the condition "has a release", its autoscaling and rollback alarms, and the prediction API."""

from __future__ import annotations

from typing import Any

from aws_cdk import (
    Acknowledgment,
    CfnCondition,
    CfnOutput,
    CfnParameter,
    CfnResource,
    Duration,
    Environment,
    Fn,
    RemovalPolicy,
    Stack,
    Token,
    Validations,
)
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_applicationautoscaling as autoscaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from stacks.constructs.python_function import PythonFunction, log_retention
from stacks.constructs.shared import SharedResources
from stacks.images import inference_image, repository_arn
from stacks.names import CHALLENGER, CHAMPION, NO_RELEASE, VARIANTS, Names
from stacks.settings import Settings

SCALABLE_DIMENSION = "sagemaker:variant:DesiredInstanceCount"


class EndpointStack(Stack):
    """Hosting of the current release, and the API in front of it.

    The release is one SSM record, read as a parameter: a rollout changes the record and updates this stack with its
    previous template, so a ``cdk deploy`` and a rollout never undo each other.
    """

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = Names(settings)
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
        self._hosting(packages)
        self._api(self._predict())

    def _only_with_release(self, resource: CfnResource) -> None:
        resource.cfn_options.condition = self.has_release

    # -- hosting -----------------------------------------------------------------------------------

    def _hosting(self, packages: dict[str, str]) -> None:
        role, policy = self._execution_role()
        models = {variant: self._model(variant, packages[variant], role, policy) for variant in VARIANTS}
        config = self._endpoint_config(models)
        alarms = self._rollback_alarms()
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
                self._autoscale(variant, endpoint)

    def _execution_role(self) -> tuple[iam.CfnRole, iam.CfnPolicy]:
        """L1, because a condition on an L2 role would not reach its policy."""
        names, region = self.names, self.settings.region
        image = inference_image(region, self.settings.hosting.instance_type)
        key = self.shared.key.key_arn

        def allow(actions_: list[str], resources: list[str], conditions: dict[str, Any] | None = None) -> dict[str, Any]:
            statement: dict[str, Any] = {"Effect": "Allow", "Action": actions_, "Resource": resources}
            return {**statement, "Condition": conditions} if conditions else statement

        def objects(purpose: str, prefix: str) -> str:
            return f"arn:aws:s3:::{names.bucket(purpose)}/{prefix}/*"

        statements = [
            allow(["s3:GetObject"], [objects("models", "training")]),
            allow(["s3:ListBucket"], [f"arn:aws:s3:::{names.bucket('models')}"], {"StringLike": {"s3:prefix": ["training/*"]}}),
            allow(["s3:PutObject"], [objects("capture", f"capture/{names.endpoint}")]),
            allow(["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"], [key]),
            allow(["kms:CreateGrant"], [key], {"Bool": {"kms:GrantIsForAWSResource": "true"}}),
            allow(["cloudwatch:DescribeAlarms"], [names.arn("cloudwatch", f"alarm:{names.prefix}-*")]),
            allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}}),
            allow(
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                [names.arn("logs", f"log-group:/aws/sagemaker/Endpoints/{names.endpoint}*")],
            ),
            allow(["ecr:GetAuthorizationToken"], ["*"]),
            allow(["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"], [repository_arn(image, region)]),
        ]
        if self.settings.network.mode == "vpc":
            verbs = (
                "CreateNetworkInterface",
                "CreateNetworkInterfacePermission",
                "DeleteNetworkInterface",
                "DeleteNetworkInterfacePermission",
            )
            views = ("NetworkInterfaces", "Vpcs", "DhcpOptions", "Subnets", "SecurityGroups")
            statements.append(allow([*(f"ec2:{verb}" for verb in verbs), *(f"ec2:Describe{view}" for view in views)], ["*"]))
        role = iam.CfnRole(
            self,
            "ExecutionRole",
            description=f"Execution role of the models behind {names.endpoint}",
            assume_role_policy_document={
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
            },
        )
        policy = iam.CfnPolicy(
            self,
            "ExecutionPolicy",
            policy_name="models",
            roles=[role.ref],
            policy_document={"Version": "2012-10-17", "Statement": statements},
        )
        account = "<AWS::AccountId>"
        bucket, ours = f"arn:aws:s3:::{names.prefix}", f"arn:<AWS::Partition>:{{}}:{region}:{account}"
        log_group = f"log-group:/aws/sagemaker/Endpoints/{names.endpoint}*"
        reasons = {
            f"{bucket}-models-{account}-{region}/training/*": "Artifacts are named by the jobs that make them",
            f"{bucket}-capture-{account}-{region}/capture/{names.endpoint}/*": "SageMaker names capture files by hour",
            f"{ours.format('cloudwatch')}:alarm:{names.prefix}-*": "The rollback alarms of this stage, and no other",
            f"{ours.format('logs')}:{log_group}": "SageMaker makes the endpoint's log group and streams itself",
            "*": "GetAuthorizationToken, PutMetricData (limited to one namespace) and network interfaces take no resource",
        }
        for resource, reason in reasons.items():
            Validations.of(policy).acknowledge(Acknowledgment(id=f"AwsSolutions-IAM5[Resource::{resource}]", reason=reason))
        for item in (role, policy):
            self._only_with_release(item)
        return role, policy

    def _model(self, variant: str, package_arn: str, role: iam.CfnRole, policy: iam.CfnPolicy) -> sagemaker.CfnModel:
        network = self.settings.network
        model = sagemaker.CfnModel(
            self,
            f"Model-{variant}",
            execution_role_arn=role.attr_arn,
            primary_container=sagemaker.CfnModel.ContainerDefinitionProperty(model_package_name=package_arn),
            enable_network_isolation=True,
            vpc_config=sagemaker.CfnModel.VpcConfigProperty(
                security_group_ids=list(network.security_group_ids), subnets=list(network.subnet_ids)
            )
            if network.mode == "vpc"
            else None,
        )
        # CreateModel reads the artifact at once: without this the first deploy races the role's policy.
        model.add_resource_dependency(policy)
        self._only_with_release(model)
        return model

    def _endpoint_config(self, models: dict[str, sagemaker.CfnModel]) -> sagemaker.CfnEndpointConfig:
        """Unnamed: a configuration is immutable, and a fixed name would block every update."""
        hosting = self.settings.hosting
        beside_champion = Fn.condition_if(self.has_challenger.logical_id, hosting.initial_weights["challenger"], 0)
        weights = {CHAMPION: hosting.initial_weights["champion"], CHALLENGER: Token.as_number(beside_champion)}
        config = sagemaker.CfnEndpointConfig(
            self,
            "EndpointConfig",
            kms_key_id=None if self._local_storage() else self.shared.key.key_arn,
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
            data_capture_config=sagemaker.CfnEndpointConfig.DataCaptureConfigProperty(
                enable_capture=True,
                initial_sampling_percentage=hosting.capture_percent,
                destination_s3_uri=f"s3://{self.names.bucket('capture')}/capture",
                kms_key_id=self.shared.key.key_arn,
                capture_options=[sagemaker.CfnEndpointConfig.CaptureOptionProperty(capture_mode=mode) for mode in ("Input", "Output")],
                capture_content_type_header=sagemaker.CfnEndpointConfig.CaptureContentTypeHeaderProperty(
                    json_content_types=["application/json"]
                ),
            ),
        )
        self._only_with_release(config)
        return config

    def _local_storage(self) -> bool:
        """Types with local NVMe storage encrypt it themselves and refuse a volume key."""
        family = self.settings.hosting.instance_type.split(".")[1]
        return family.endswith("d") or family.startswith(("g4dn", "g5", "g6", "p4d"))

    def _deployment(self, alarms: list[cloudwatch.Alarm]) -> sagemaker.CfnEndpoint.DeploymentConfigProperty:
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
                alarms=[sagemaker.CfnEndpoint.AlarmProperty(alarm_name=alarm.alarm_name) for alarm in alarms]
            ),
        )

    def _rollback_alarms(self) -> list[cloudwatch.Alarm]:
        """Per variant: failed invocations and latency. The toolkit turns a handler's exception into HTTP 400, so 4xx count."""
        shift = self.settings.hosting.fleet_shift
        period = Duration.seconds(shift.alarm_period_seconds)
        alarms = []
        for variant in VARIANTS:
            # Literal names: the endpoint refers to the alarms, so the alarms cannot refer to the endpoint.
            dimensions = {"EndpointName": self.names.endpoint, "VariantName": variant}

            def metric(name: str, statistic: str, dimensions: dict[str, str] = dimensions) -> cloudwatch.Metric:
                return cloudwatch.Metric(
                    namespace="AWS/SageMaker", metric_name=name, dimensions_map=dimensions, period=period, statistic=statistic
                )

            failed = cloudwatch.MathExpression(
                expression="(FILL(e4, 0) + FILL(e5, 0)) / invocations",
                using_metrics={
                    "e4": metric("Invocation4XXErrors", "Sum"),
                    "e5": metric("Invocation5XXErrors", "Sum"),
                    "invocations": metric("Invocations", "Sum"),
                },
                label=f"share of failed invocations of {variant}",
                period=period,
            )
            for name, value, threshold in (
                ("errors", failed, shift.max_error_rate),
                ("latency", metric("ModelLatency", "p90"), shift.max_latency_ms * 1_000),
            ):
                alarm = cloudwatch.Alarm(
                    self,
                    f"{variant}-{name}",
                    alarm_name=f"{self.names.prefix}-{variant}-{name}",
                    alarm_description=f"{name.capitalize()} of variant {variant}; in ALARM during an update, the endpoint rolls back",
                    metric=value,
                    threshold=threshold,
                    evaluation_periods=shift.alarm_evaluation_periods,
                    comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                    treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
                )
                alarm.add_alarm_action(actions.SnsAction(self.shared.alerts))
                alarms.append(alarm)
        return alarms

    def _autoscale(self, variant: str, endpoint: sagemaker.CfnEndpoint) -> None:
        scaling = self.settings.hosting.scaling
        assert scaling is not None  # noqa: S101  (the caller asked)
        resource_id = f"endpoint/{self.names.endpoint}/variant/{variant}"
        target = autoscaling.CfnScalableTarget(
            self,
            f"Scaling-{variant}",
            service_namespace="sagemaker",
            resource_id=resource_id,
            scalable_dimension=SCALABLE_DIMENSION,
            min_capacity=scaling.min_instances,
            max_capacity=scaling.max_instances,
        )
        target.add_resource_dependency(endpoint)
        policy = autoscaling.CfnScalingPolicy(
            self,
            f"ScalingPolicy-{variant}",
            policy_name=f"{self.names.prefix}-{variant}",
            policy_type="TargetTrackingScaling",
            service_namespace="sagemaker",
            resource_id=resource_id,
            scalable_dimension=SCALABLE_DIMENSION,
            target_tracking_scaling_policy_configuration=autoscaling.CfnScalingPolicy.TargetTrackingScalingPolicyConfigurationProperty(
                target_value=scaling.invocations_per_instance_per_minute,
                scale_in_cooldown=scaling.scale_in_cooldown_seconds,
                scale_out_cooldown=scaling.scale_out_cooldown_seconds,
                predefined_metric_specification=autoscaling.CfnScalingPolicy.PredefinedMetricSpecificationProperty(
                    predefined_metric_type="SageMakerVariantInvocationsPerInstance"
                ),
            ),
        )
        policy.add_resource_dependency(target)
        for item in (target, policy):
            self._only_with_release(item)

    # -- the API -----------------------------------------------------------------------------------

    def _predict(self) -> PythonFunction:
        names, settings = self.names, self.settings
        queue = names.queue("review-requests")
        function = PythonFunction(
            self,
            "Predict",
            shared=self.shared,
            folder="predict",
            description="Answers POST /predict and sends what the model is unsure of to people",
            timeout=29,
            memory=512,
            environment={
                "ENDPOINT_NAME": names.endpoint,
                "PREDICTIONS_TABLE": names.predictions_table,
                "REVIEW_QUEUE_URL": f"https://sqs.{self.region}.{self.url_suffix}/{self.account}/{queue}",
                "MAX_TEXT_CHARS": str(settings.dataset.max_text_chars),
                "AUDIT_SHARE": str(settings.review.audit_share),
                "RETENTION_DAYS": str(settings.retention.prediction_days),
                "REVIEW_THRESHOLD": str(settings.review.threshold),
            },
        )
        function.allow(["sagemaker:InvokeEndpoint"], [names.arn("sagemaker", f"endpoint/{names.endpoint}")])
        function.allow(["dynamodb:PutItem"], [names.arn("dynamodb", f"table/{names.predictions_table}")])
        function.allow(["sqs:SendMessage"], [names.arn("sqs", queue)])
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        lost = cloudwatch.Alarm(
            self,
            "ReviewRequestsLost",
            alarm_name=f"{names.prefix}-review-requests-lost",
            alarm_description="Answers whose review could neither be stored nor queued: look for DynamoDB and SQS errors in the log",
            metric=cloudwatch.Metric(
                namespace=names.metric_namespace,
                metric_name="ReviewRequestsLost",
                dimensions_map={"service": function.name},
                period=Duration.minutes(5),
                statistic="Sum",
            ),
            threshold=0,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        lost.add_alarm_action(actions.SnsAction(self.shared.alerts))
        return function

    def _api(self, function: PythonFunction) -> None:
        access_log = logs.LogGroup(
            self,
            "ApiLogs",
            log_group_name=f"/aws/apigateway/{self.names.prefix}",
            retention=log_retention(self.settings.retention.log_days),
            encryption_key=self.shared.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=self.names.prefix,
            description="Predictions of the text classifier; callers sign their requests (AWS Signature Version 4)",
            cloud_watch_role=False,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=apigateway.StageOptions(
                stage_name="v1",
                tracing_enabled=True,
                throttling_rate_limit=200,
                throttling_burst_limit=400,
                access_log_destination=apigateway.LogGroupLogDestination(access_log),
                access_log_format=apigateway.AccessLogFormat.json_with_standard_fields(
                    caller=True,
                    http_method=True,
                    ip=True,
                    protocol=True,
                    request_time=True,
                    resource_path=True,
                    response_length=True,
                    status=True,
                    user=True,
                ),
            ),
        )
        predict = api.root.add_resource("predict").add_method(
            "POST", apigateway.LambdaIntegration(function.function), authorization_type=apigateway.AuthorizationType.IAM
        )
        stage = api.deployment_stage
        acknowledged = (
            (api, "APIG2", "The function validates: its answers name the field, what is wrong and what is allowed, which a model cannot"),
            (stage, "APIG3", "Callers are authenticated by IAM and throttled; a web ACL bills per ACL and is the account's choice"),
            (stage, "APIG6", "Execution logs would hold the texts of callers; access logs, metrics and traces are on"),
            (predict, "COG4", "Callers are services that sign with IAM credentials; the user pool is for reviewers only"),
        )
        for construct, rule, reason in acknowledged:
            Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))
        CfnOutput(self, "ApiUrl", value=api.url)
        CfnOutput(self, "PredictUrl", value=f"{api.url}predict")
