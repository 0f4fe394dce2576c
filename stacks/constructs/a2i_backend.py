"""Amazon A2I as the review backend: the flow that asks people, and the way back of what it says.

Only this construct, the flow definition's own and ``lambdas/review/a2i*`` know human loops and flow definitions.
"""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import CfnOutput
from aws_cdk import aws_events as events
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from stacks.constructs.flow_definition import OUTPUT_PREFIX, FlowDefinition
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.review_queue import CONSUMER_TIMEOUT, ReviewQueue
from stacks.constructs.shared import SharedResources


class A2iBackend(Construct):
    """The review stack needs three things of a backend: :attr:`environment`, :meth:`allow_start` and :meth:`results_into`.

    Args:
        workteam_arn: the team that is asked.

    Attributes:
        environment: variables with which ``start_review`` chooses and calls this backend.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources, workteam_arn: str) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        self.flow = FlowDefinition(self, "Flow", shared=shared, workteam_arn=workteam_arn)
        self.environment: Mapping[str, str] = {"REVIEW_BACKEND": "a2i", "REVIEW_TARGET": self.flow.arn}
        for name, value in (("flow-definition-arn", self.flow.arn), ("human-task-ui-arn", self.flow.human_task_ui_arn)):
            ssm.StringParameter(self, f"Parameter-{name}", parameter_name=shared.names.parameter(name), string_value=value)
        CfnOutput(self, "FlowDefinitionArn", value=self.flow.arn)

    def allow_start(self, function: PythonFunction) -> None:
        """Let the function start reviews.

        AWS's two sources name different resources for StartHumanLoop, so both are granted: the service authorization reference the
        flow definition, the SageMaker developer guide ("Amazon SageMaker API permissions") the human loop. Of the flow every generation:
        while a deploy replaces it, the function still asks by the old one.
        """
        function.allow(
            ["sagemaker:StartHumanLoop"],
            [f"{self.flow.every_generation}*"],
            because="A flow's name ends in a hash of its content, and a function that was not updated yet asks by the one before",
        )
        function.allow(
            ["sagemaker:StartHumanLoop", "sagemaker:DescribeHumanLoop"],
            [self._shared.names.arn("sagemaker", "human-loop/*")],
            because="A human loop is named for its prediction, so its ARN is not known before",
        )

    def results_into(self, results: ReviewQueue) -> None:
        """Send one ``ReviewEnded`` for each review that ends to ``results``. Whoever starts reviews must depend on this construct:
        a review that ends before the rule listens would be lost.
        """
        names = self._shared.names
        ended = ReviewQueue(
            self,
            "Ended",
            shared=self._shared,
            name="a2i-ended",
            dead_letters_hold="Events of A2I about reviews whose answers could not be read: read the log of a2i-ended, then redrive to "
            "a2i-ended",
        )
        self._rule(ended)
        function = PythonFunction(
            self,
            "A2iEnded",
            shared=self._shared,
            folder="review/a2i_ended",
            description="Says how a review of A2I ended, with what people answered",
            timeout=CONSUMER_TIMEOUT,
            environment={"REVIEW_RESULTS_URL": results.queue.queue_url},
        )
        function.allow(
            ["s3:GetObject"],
            [names.bucket_arn("review", f"{OUTPUT_PREFIX}/*")],
            because="A2I writes each review's answers below this prefix, by the second and the review's name",
        )
        # To those who may not list a bucket S3 answers 403, not 404, for an object that is not there (yet): S3 API reference, GetObject.
        function.allow(["s3:ListBucket"], [names.bucket_arn("review")])
        results.allow_send(function)
        ended.feed(function)

    def _rule(self, ended: ReviewQueue) -> None:
        """A2I's status changes of our own flow, of any generation of it."""
        names = self._shared.names
        name = names.rule("review-results")
        arn = names.arn("events", f"rule/{name}")
        events.CfnRule(
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
                    id="Ended",
                    arn=ended.queue.queue_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=ended.dead_letters.queue.queue_arn),
                )
            ],
        )
        ended.allow_rule(arn)
        ended.dead_letters.allow_rule(arn)
