"""Review: who is asked, how they are asked, and the way there and back. Everything between an unsure prediction and its label."""

from __future__ import annotations

from typing import Any

from aws_cdk import CfnOutput, Duration, Environment, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from contracts.shared_words import LABELS_BY_DAY, OPEN_REVIEWS
from stacks.constructs.a2i_backend import A2iBackend
from stacks.constructs.alarm import BELOW, Alarm
from stacks.constructs.dataset_labels import allow_labels, label_variables, offered_answers
from stacks.constructs.hosted_backend import HostedBackend
from stacks.constructs.open_reviews import OpenReviews
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.review_budget import budget_variables
from stacks.constructs.review_queue import CONSUMER_TIMEOUT, MAX_RECEIVES, ReviewQueue
from stacks.constructs.reviewers import HostedReviewers
from stacks.constructs.shared import SharedResources
from stacks.constructs.worker_page import guidelines
from stacks.constructs.workforce import Workforce
from stacks.settings import Settings
from stacks.template_names import template_names

_CONCURRENT_STARTS = 2


class ReviewStack(Stack):
    """People, review backend, the queues ``review-requests`` and ``review-results`` and the functions that read them."""

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = template_names(settings)
        super().__init__(scope, self.names.stack("review"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.shared = SharedResources(self, settings)
        self.backend = self._hosted() if settings.review.backend == "hosted" else self._a2i()
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
        self.backend.results_into(self.results)
        self._start_review()
        self._collect_review()
        self._publish()
        OpenReviews(self, "OpenReviews", shared=self.shared)

    # "Default" adds nothing to the logical ids of what is inside, so one backend may take the other's place. The people keep their ids.
    def _a2i(self) -> A2iBackend:
        workforce = Workforce(self, "Workforce", shared=self.shared)
        arn = workforce.workteam_arn
        ssm.StringParameter(self, "Parameter-workteam-arn", parameter_name=self.names.parameter("workteam-arn"), string_value=arn)
        CfnOutput(self, "WorkteamArn", value=arn)
        if workforce.user_pool is not None and workforce.client is not None:
            CfnOutput(self, "UserPoolId", value=workforce.user_pool.user_pool_id)
            CfnOutput(self, "UserPoolClientId", value=workforce.client.ref)
        return A2iBackend(self, "Default", shared=self.shared, workteam_arn=arn)

    def _hosted(self) -> HostedBackend:
        people = HostedReviewers(self, "Workforce", shared=self.shared)
        CfnOutput(self, "UserPoolId", value=people.pool.user_pool_id)
        return HostedBackend(self, "Default", shared=self.shared, people=people)

    def _start_review(self) -> None:
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
                "MAX_RECEIVES": str(MAX_RECEIVES),
                **budget_variables(self.shared),
                **offered_answers(self.shared),
                **self.backend.environment,
            },
        )
        function.allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], [self.shared.predictions.table_arn])
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        allow_labels(function, self.shared)
        self.backend.allow_start(function)
        self.requests.dead_letters.allow_send(function)
        mapping = self.requests.feed(function, max_concurrency=_CONCURRENT_STARTS)
        # Nobody is asked before somebody listens for the answers.
        mapping.node.add_dependency(self.backend)

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
                "GUIDELINES": guidelines(self.settings.review.guidelines),
                **label_variables(self.shared),
            },
        )
        function.allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], [self.shared.predictions.table_arn])
        # What the answers of the last weeks say of the workers.
        indexes = [f"{self.shared.predictions.table_arn}/index/{index}" for index in (LABELS_BY_DAY, OPEN_REVIEWS)]
        function.allow(["dynamodb:Query"], indexes)
        function.allow(
            ["s3:PutObject"],
            [self.names.bucket_arn("capture", "ground-truth/*")],
            because="One object per labelled prediction, below this prefix",
        )
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        allow_labels(function, self.shared)
        self.requests.dead_letters.allow_send(function)
        self.results.feed(function)
        Alarm(
            self,
            "ReviewersDisagree",
            shared=self.shared,
            name=self.names.alarm("reviewers-disagree"),
            meaning="Reviewers agree hardly more than by chance: read the guidelines of the worker page with them",
            metric=cloudwatch.Metric(
                namespace=self.names.metric_namespace,
                metric_name="KrippendorffAlpha",
                dimensions_map={"service": function.name},
                period=Duration.hours(1),
                statistic="Average",
            ),
            threshold=self.settings.review.least_alpha,
            comparison=BELOW,
        )

    def _publish(self) -> None:
        name = self.names.parameter("review-requests-url")
        ssm.StringParameter(self, "Parameter-review-requests-url", parameter_name=name, string_value=self.requests.queue.queue_url)
