"""Everything stateful: key, buckets, tables, alert topic, and the parameters that other stacks read.

All of it is retained when the stack goes: a dataset, a label or a captured prediction is never lost to a deploy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import Aws, Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from contracts.shared_words import NO_BETS, NO_EXPERIMENT, NO_RELEASE
from stacks.constructs.function_resource import FunctionResource
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.review_budget import SPENDING
from stacks.constructs.shared import SharedResources
from stacks.names import PAIR_KEYS, PREDICTION_INDEXES, TASK_INDEXES
from stacks.settings import Settings
from stacks.template_names import template_names

_KEPT = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
"""Kept once the stack exists. What a failed first deploy made is deleted, or its literal name would block the next deploy."""


class FoundationStack(Stack):
    """Key, buckets, tables, alert topic, parameters."""

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = template_names(settings)
        super().__init__(scope, self.names.stack("foundation"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.key = self._key()
        shared = SharedResources(self, settings, key=self.key)
        self.buckets = self._buckets()
        self.predictions = self._predictions()
        self.alerts = self._alerts()
        self._parameters(shared)
        tables = [self.predictions, self._pairs(), *([self._review_tasks()] if settings.review.backend == "hosted" else [])]
        # Made last: their deletion protection would not let a failed first deploy remove them.
        others = [child for child in self.node.children if child not in tables]
        for table in tables:
            table.node.add_dependency(*others)
        if self.predictions.table_stream_arn is not None:
            # Its name has the moment at which it was switched on, so no other stack can know it.
            stream = self.names.parameter("predictions-stream-arn")
            ssm.StringParameter(self, "PredictionsStream", parameter_name=stream, string_value=self.predictions.table_stream_arn)

    def _key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"alias/{self.names.prefix}",
            description=f"Encrypts everything that {self.names.prefix} stores",
            enable_key_rotation=True,
            removal_policy=_KEPT,
        )
        use = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:DescribeKey"]
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="LogGroupsOfThisAccount",
                principals=[iam.ServicePrincipal(f"logs.{self.region}.amazonaws.com")],
                actions=use,
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": self.names.arn("logs", "log-group:*")}},
            )
        )
        publish = ["kms:Decrypt", "kms:GenerateDataKey*"]
        # CloudWatch calls KMS itself, and names the account of the alarm. AWS's own constructs have this condition in both policies:
        # https://aws.github.io/modern-data-architecture-accelerator/typedocs/functions/_aws-mdaa_cloudwatch-constructs.grantCloudWatchAlarmsTopicAccess.html
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=publish,
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        # No condition on the source: none is supported from EventBridge to an encrypted topic, and with one every event is lost.
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html#compatibility-with-aws-services
        # The queues' own policies name the rules that may send; the topic's cannot either (see _alerts).
        key.add_to_resource_policy(
            iam.PolicyStatement(sid="Rules", principals=[iam.ServicePrincipal("events.amazonaws.com")], actions=publish, resources=["*"])
        )
        return key

    def _buckets(self) -> dict[str, s3.Bucket]:
        retention = self.settings.retention
        logs = s3.Bucket(
            self,
            "AccessLogsBucket",
            bucket_name=self.names.bucket("access-logs"),
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            enforce_ssl=True,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[s3.LifecycleRule(id="expire", expiration=Duration.days(retention.review_days))],
            removal_policy=_KEPT,
        )
        expiry = {"data": None, "models": None, "capture": retention.capture_days, "review": retention.review_days}
        buckets = {"access-logs": logs}
        for purpose, days in expiry.items():
            rules = [s3.LifecycleRule(id="abort-uploads", abort_incomplete_multipart_upload_after=Duration.days(7))]
            if days:
                noncurrent = Duration.days(min(days, 30))
                rules.append(s3.LifecycleRule(id="expire", expiration=Duration.days(days), noncurrent_version_expiration=noncurrent))
            buckets[purpose] = s3.Bucket(
                self,
                f"{purpose.capitalize()}Bucket",
                bucket_name=self.names.bucket(purpose),
                encryption=s3.BucketEncryption.KMS,
                encryption_key=self.key,
                bucket_key_enabled=True,
                block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
                enforce_ssl=True,
                object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
                versioned=True,
                lifecycle_rules=rules,
                server_access_logs_bucket=logs,
                server_access_logs_prefix=f"{purpose}/",
                removal_policy=_KEPT,
            )
        return buckets

    def _predictions(self) -> dynamodb.Table:
        # One reader writes captured lines, the other compares models: neither runs where nothing is captured so, and nobody is asked.
        streams = self.settings.hosting.capture == "app" or self.settings.review.asks_people
        return self._table(
            "Predictions",
            self.names.predictions_table,
            ("prediction_id",),
            PREDICTION_INDEXES,
            ttl="expires_at",
            stream=dynamodb.StreamViewType.NEW_IMAGE if streams else None,
        )

    def _pairs(self) -> dynamodb.Table:
        """What champion and challenger answered to the same texts (``lambdas/common/pairs.py``)."""
        return self._table("Pairs", self.names.pairs_table, PAIR_KEYS, {}, ttl="expires_at")

    def _review_tasks(self) -> dynamodb.Table:
        """What the hosted backend asks and is answered (``lambdas/review/hosted_tasks/table.py``)."""
        return self._table("ReviewTasks", self.names.review_tasks_table, ("pk", "sk"), TASK_INDEXES, ttl="delete_after")

    def _table(
        self,
        construct_id: str,
        name: str,
        keys: tuple[str, ...],
        indexes: Mapping[str, tuple[str, str]],
        *,
        ttl: str,
        stream: dynamodb.StreamViewType | None = None,
    ) -> dynamodb.Table:
        def text(name: str) -> dynamodb.Attribute:
            return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)

        table = dynamodb.Table(
            self,
            construct_id,
            table_name=name,
            partition_key=text(keys[0]),
            sort_key=text(keys[1]) if len(keys) > 1 else None,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True),
            time_to_live_attribute=ttl,
            stream=stream,
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN,
        )
        for index, (key, sort) in indexes.items():
            table.add_global_secondary_index(index_name=index, partition_key=text(key), sort_key=text(sort))
        return table

    def _alerts(self) -> sns.Topic:
        topic = sns.Topic(self, "Alerts", topic_name=self.names.alert_topic, master_key=self.key, enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AlarmsOfThisAccount",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        # "You can't use Condition blocks in Amazon SNS topic policies for EventBridge":
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Rules",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
            )
        )
        if self.settings.alert_email:
            topic.add_subscription(subscriptions.EmailSubscription(self.settings.alert_email))
        return topic

    def _parameters(self, shared: SharedResources) -> None:
        ssm.StringParameter(self, "KeyArn", parameter_name=self.names.parameter("key-arn"), string_value=self.key.key_arn)
        ssm.StringParameter(
            self,
            "BaseModel",
            parameter_name=self.names.parameter("base-model"),
            string_value=f"s3://{self.names.bucket('data')}/base-model/",
            description="S3 prefix of the base model's files",
        )
        seed = PythonFunction(
            self,
            "SeedParameter",
            shared=shared,
            folder="custom_resources/seed_parameter",
            description="Creates a parameter that the running system owns, once",
        )
        bets = ("promise-bets", "String", NO_BETS, "The bets against the review promise, by model version")
        spending = (SPENDING, "String", "none", "How many texts of today's review.daily_budget are chosen")
        for name, kind, value, description in (
            *([] if self.settings.review.promise is None else [bets]),
            *([] if self.settings.review.daily_budget is None else [spending]),
            ("release", "StringList", f"{NO_RELEASE},{NO_RELEASE}", "Model packages that serve as champion and challenger"),
            ("rollout-control", "String", "none", "What people told the running rollout: to pause, or that they approve"),
            ("dataset", "String", self.settings.dataset.uri or "none", "S3 prefix of the current dataset version"),
            ("experiment", "String", NO_EXPERIMENT, "The experiment that runs: its rollout, its two models, the challenger's share"),
        ):
            parameter = self.names.parameter(name)
            seed.allow(["ssm:PutParameter"], [self.names.arn("ssm", f"parameter{parameter}")])
            FunctionResource(
                self,
                f"Seed-{name}",
                function=seed,
                resource_type="Custom::SeedParameter",
                properties={"Name": parameter, "Type": kind, "Value": value, "Description": description},
                removal_policy=RemovalPolicy.RETAIN,
            )
