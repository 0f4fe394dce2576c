"""Review: who is asked, how they are asked, and the way there and back. Everything between an unsure prediction and its label."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Environment, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from stacks.constructs.flow_definition import OUTPUT_PREFIX, FlowDefinition
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.review_queue import CONSUMER_TIMEOUT, MAX_RECEIVES, ReviewQueue
from stacks.constructs.shared import SharedResources
from stacks.constructs.workforce import Workforce
from stacks.names import Names
from stacks.settings import Settings

_CONCURRENT_STARTS = 2


class ReviewStack(Stack):
    """Workforce, flow definition, the queues ``review-requests`` and ``review-results`` and the functions that read them."""

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = Names(settings)
        super().__init__(scope, self.names.stack("review"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.shared = SharedResources(self, settings)
        self.workforce = Workforce(self, "Workforce", shared=self.shared)
        self.flow = FlowDefinition(self, "Flow", shared=self.shared, workteam_arn=self.workforce.workteam_arn)
        self.requests = ReviewQueue(
            self,
            "Requests",
            shared=self.shared,
            name="review-requests",
            dead_letters_hold="Predictions that nobody was asked about, or that nobody answered: read the reason on the record, "
            "then redrive to review-requests to ask again",
        )
        self.results = ReviewQueue(
            self,
            "Results",
            shared=self.shared,
            name="review-results",
            dead_letters_hold="Answers of people that could not be stored: read the log of collect-review, then redrive to review-results",
        )
        rule = self._result_rule()
        self._start_review(rule)
        self._collect_review()
        self._publish()

    def _result_rule(self) -> events.CfnRule:
        """A2I's status changes of our own flow, of any generation of it, go to the results queue."""
        name = self.names.rule("review-results")
        arn = self.names.arn("events", f"rule/{name}")
        target = self.results.queue.queue_arn
        rule = events.CfnRule(
            self,
            "ResultRule",
            name=name,
            description="Ended human reviews",
            state="ENABLED",
            event_pattern={
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker A2I HumanLoop Status Change"],
                "detail": {"flowDefinitionArn": [{"prefix": self.flow.every_generation}]},
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="Results",
                    arn=target,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self.results.dead_letters.queue.queue_arn),
                )
            ],
        )
        self.results.allow_rule(arn)
        self.results.dead_letters.allow_rule(arn)
        return rule

    def _start_review(self, rule: events.CfnRule) -> None:
        function = PythonFunction(
            self,
            "StartReview",
            shared=self.shared,
            folder="review/start_review",
            description="Asks people about an unsure prediction",
            timeout=CONSUMER_TIMEOUT,
            environment={
                "PREDICTIONS_TABLE": self.names.predictions_table,
                "DEAD_LETTER_QUEUE_URL": self.requests.dead_letters.queue.queue_url,
                "FLOW_DEFINITION_ARN": self.flow.arn,
                "LABELS": ",".join(self.settings.dataset.labels),
                "MAX_RECEIVES": str(MAX_RECEIVES),
            },
        )
        function.allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], [self.shared.predictions.table_arn])
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        # AWS's two sources name different resources for StartHumanLoop, so both are granted: the service authorization reference the
        # flow definition, the SageMaker developer guide ("Amazon SageMaker API permissions") the human loop. Of the flow every generation:
        # while a deploy replaces it, the function still asks by the old one.
        function.allow(
            ["sagemaker:StartHumanLoop"],
            [f"{self.flow.every_generation}*"],
            because="A flow's name ends in a hash of its content, and a function that was not updated yet asks by the one before",
        )
        function.allow(
            ["sagemaker:StartHumanLoop", "sagemaker:DescribeHumanLoop"],
            [self.names.arn("sagemaker", "human-loop/*")],
            because="A human loop is named for its prediction, so its ARN is not known before",
        )
        self.requests.dead_letters.allow_send(function)
        mapping = self.requests.feed(function, max_concurrency=_CONCURRENT_STARTS)
        # A review that ends before the rule listens would be lost.
        mapping.node.add_dependency(rule)

    def _collect_review(self) -> None:
        function = PythonFunction(
            self,
            "CollectReview",
            shared=self.shared,
            folder="review/collect_review",
            description="Stores what people answered, once",
            timeout=CONSUMER_TIMEOUT,
            environment={
                "PREDICTIONS_TABLE": self.names.predictions_table,
                "DEAD_LETTER_QUEUE_URL": self.requests.dead_letters.queue.queue_url,
                "CAPTURE_BUCKET": self.names.bucket("capture"),
                "LABELS": ",".join(self.settings.dataset.labels),
            },
        )
        function.allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], [self.shared.predictions.table_arn])
        function.allow(
            ["s3:GetObject"],
            [self.names.bucket_arn("review", f"{OUTPUT_PREFIX}/*")],
            because="A2I writes each review's answers below this prefix, by the second and the review's name",
        )
        # To those who may not list a bucket S3 answers 403, not 404, for an object that is not there (yet): S3 API reference, GetObject.
        function.allow(["s3:ListBucket"], [self.names.bucket_arn("review")])
        function.allow(
            ["s3:PutObject"],
            [self.names.bucket_arn("capture", "ground-truth/*")],
            because="One object per labelled prediction, below this prefix",
        )
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        self.requests.dead_letters.allow_send(function)
        self.results.feed(function)

    def _publish(self) -> None:
        parameters = {
            "flow-definition-arn": self.flow.arn,
            "workteam-arn": self.workforce.workteam_arn,
            "human-task-ui-arn": self.flow.human_task_ui_arn,
            "review-requests-url": self.requests.queue.queue_url,
        }
        for name, value in parameters.items():
            ssm.StringParameter(self, f"Parameter-{name}", parameter_name=self.names.parameter(name), string_value=value)
        CfnOutput(self, "FlowDefinitionArn", value=self.flow.arn)
        CfnOutput(self, "WorkteamArn", value=self.workforce.workteam_arn)
        if self.workforce.user_pool is not None and self.workforce.client is not None:
            CfnOutput(self, "UserPoolId", value=self.workforce.user_pool.user_pool_id)
            CfnOutput(self, "UserPoolClientId", value=self.workforce.client.ref)
