"""``POST /predict``: the function that asks the endpoint, and the REST API in front of it whose callers sign their requests."""

from __future__ import annotations

import json

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Validations
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct

from stacks.constructs.alarm import Alarm
from stacks.constructs.python_function import PythonFunction, log_retention
from stacks.constructs.review_budget import budget_variables
from stacks.constructs.shared import SharedResources
from stacks.settings.limits import API_TIMEOUT_SECONDS


class PredictionApi(Construct):
    """Always there: before the first release it answers 503 with the reason."""

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        self.function = self._predict()
        self._alarms()
        self.url = self._api().url

    def _predict(self) -> PythonFunction:
        names, settings = self._shared.names, self._shared.settings
        queue_url, experiment = names.queue_url("review-requests"), names.parameter("experiment")
        of_reviews = {
            "REVIEW_QUEUE_URL": queue_url,
            "EXPERIMENT_PARAMETER": experiment,
            "EXPERIMENT_SECONDS": str(settings.rollout.notice_seconds),
            **budget_variables(self._shared),
        }
        function = PythonFunction(
            self,
            "Predict",
            shared=self._shared,
            folder="prediction/predict",
            description="Answers POST /predict and sends what the model is unsure of to people",
            timeout=API_TIMEOUT_SECONDS,
            memory=512,
            reserved_concurrency=settings.api.reserved_concurrency,
            environment={
                "ENDPOINT_NAME": names.endpoint,
                "PREDICTIONS_TABLE": names.predictions_table,
                "MAX_TEXT_CHARS": str(settings.dataset.max_text_chars),
                "AUDIT_SHARE": str(settings.review.audit_share),
                "RETENTION_DAYS": str(settings.retention.prediction_days),
                "MODEL_DEADLINE_SECONDS": str(settings.api.model_deadline_seconds),
                "REVIEW_THRESHOLD": str(settings.review.threshold),
                **(of_reviews if settings.review.asks_people else {}),
            },
        )
        function.allow(["sagemaker:InvokeEndpoint"], [names.arn("sagemaker", f"endpoint/{names.endpoint}")])
        function.allow(["dynamodb:PutItem"], [names.arn("dynamodb", f"table/{names.predictions_table}")])
        if settings.review.asks_people:
            function.allow(["sqs:SendMessage"], [names.arn("sqs", names.queue("review-requests"))])
            function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{experiment}")])
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._shared.key.key_arn])
        return function

    def _alarms(self) -> None:
        """What neither the endpoint's alarms nor the queues' would show."""
        function, period = self.function.function, Duration.minutes(5)
        if self._shared.settings.review.asks_people:
            self._alarm(
                "ReviewRequestsLost",
                "review-requests-lost",
                self._count("ReviewRequestsLost"),
                "Answers whose review could neither be stored nor queued: look for DynamoDB and SQS errors in the log",
            )
        self._alarm(
            "PredictionsNotStored",
            "predictions-not-stored",
            self._count("PredictionsNotStored"),
            "Answers that have no record: drift, reviews and retraining will not know them. Look for DynamoDB errors in the log",
        )
        self._alarm(
            "EndpointAccessDenied",
            "endpoint-access-denied",
            self._count("EndpointAccessDenied"),
            f"{self.function.name} may not call the endpoint, or read its key: the log's 'access denied' names action and resource",
        )
        self._alarm(
            "PredictionsFailed",
            "predictions-failed",
            cloudwatch.MathExpression(
                expression="FILL(failed, 0) / requests",
                using_metrics={"failed": self._count("PredictionsFailed"), "requests": self._count("Requests")},
                label="share of requests without a prediction",
                period=period,
            ),
            "Callers get no predictions: no release, a failing or hung model, or no access. The function's log has each reason",
            threshold=self._shared.settings.api.max_failed_share,
        )
        self._alarm(
            "Errors",
            "predict-errors",
            function.metric_errors(period=period, statistic="Sum"),
            f"{self.function.name} ended without an answer of its own, which it gives even when the model fails: read its log",
        )
        self._alarm(
            "Throttles",
            "predict-throttled",
            function.metric_throttles(period=period, statistic="Sum"),
            "Callers get 503 because no concurrency is left: api.reserved_concurrency is used up, or other functions took the account's",
        )

    def _count(self, name: str) -> cloudwatch.Metric:
        """One of the function's own counts, over five minutes."""
        return cloudwatch.Metric(
            namespace=self._shared.names.metric_namespace,
            metric_name=name,
            dimensions_map={"service": self.function.name},
            period=Duration.minutes(5),
            statistic="Sum",
        )

    def _alarm(self, construct_id: str, name: str, metric: cloudwatch.IMetric, description: str, *, threshold: float = 0) -> None:
        shared, name = self._shared, self._shared.names.alarm(name)
        Alarm(self, construct_id, shared=shared, name=name, meaning=description, metric=metric, threshold=threshold)

    def _api(self) -> apigateway.RestApi:
        names, limits = self._shared.names, self._shared.settings.api
        manages_role = limits.manage_account_role
        access_log = logs.LogGroup(
            self,
            "AccessLog",
            log_group_name=f"/aws/apigateway/{names.prefix}",
            retention=log_retention(self._shared.settings.retention.log_days),
            encryption_key=self._shared.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=names.prefix,
            description="Predictions of the text classifier; callers sign their requests (AWS Signature Version 4)",
            cloud_watch_role=manages_role,
            # One role for every API of the account and region: it stays when this stack goes.
            cloud_watch_role_removal_policy=RemovalPolicy.RETAIN if manages_role else None,
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            # The caller's bytes as they are, in base64: as text, API Gateway would replace what is not UTF-8.
            binary_media_types=["*/*"],
            deploy_options=apigateway.StageOptions(
                stage_name="v1",
                tracing_enabled=True,
                throttling_rate_limit=limits.rate_limit,
                throttling_burst_limit=limits.burst_limit,
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
        self._gateway_answers(api)
        predict = api.root.add_resource("predict").add_method(
            "POST", apigateway.LambdaIntegration(self.function.function), authorization_type=apigateway.AuthorizationType.IAM
        )
        acknowledged: list[tuple[IConstruct, str, str]] = [
            (api, "APIG2", "The function validates: its answers name the field, what is wrong and what is allowed, which a model cannot"),
            (
                api.deployment_stage,
                "APIG3",
                "Callers are authenticated by IAM and throttled; a web ACL bills per ACL and is the account's choice",
            ),
            (
                api.deployment_stage,
                "APIG6",
                "Execution logs would hold the texts of callers; access logs, metrics and traces are on",
            ),
            (predict, "COG4", "Callers are services that sign with IAM credentials; the user pool is for reviewers only"),
        ]
        if manages_role:
            policy = "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]"
            reason = "The policy that API Gateway documents for its account-wide role, which other APIs log by too"
            acknowledged.append((api.node.find_child("CloudWatchRole"), policy, reason))
        for construct, rule, reason in acknowledged:
            Validations.of(construct).acknowledge(Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason))
        return api

    def _gateway_answers(self, api: apigateway.RestApi) -> None:
        """What the gateway answers itself, in the form of the function's answers and with ``Retry-After``.

        A Lambda function without free concurrency is INTEGRATION_FAILURE or a 500 without a type of its own, depending on the source
        (API Gateway developer guide, "Gateway response types"; re:Post, "Internal server error"), so the fallback of all 5xx is set.
        """
        busy = "The service is busy or out of reach. Try again later."
        limit = "Too many requests. Send fewer, or try again later."
        for kind, status, message in (
            (apigateway.ResponseType.DEFAULT_5_XX, "503", busy),
            (apigateway.ResponseType.THROTTLED, "429", limit),
        ):
            api.add_gateway_response(
                f"Answer{status}",
                type=kind,
                status_code=status,
                response_headers={"Retry-After": "'5'"},
                templates={"application/json": json.dumps({"error": {"message": message}})},
            )
