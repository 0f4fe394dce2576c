"""A function on a schedule: the rule, its retries, and a dead-letter queue with an alarm for what still fails."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from stacks.constructs.dead_letter import DeadLetterQueue
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources

MAX_RETRIES = 2
MAX_EVENT_AGE = Duration.hours(1)


class ScheduledFunction(Construct):
    """Runs ``function`` every ``minutes``; rule ``<name>-schedule``, dead letters ``<name>-dlq``.

    A rule invokes asynchronously: what the rule cannot deliver and what the function fails at both end in the queue.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, shared: SharedResources, function: PythonFunction, name: str, minutes: int
    ) -> None:
        super().__init__(scope, construct_id)
        self.dead_letters = DeadLetterQueue(
            self,
            "DeadLetters",
            shared=shared,
            name=f"{name}-dlq",
            holds=f"Scheduled runs of {function.name} that failed after retries: read its log, then start it once by hand",
        )
        self.rule = events.CfnRule(
            self,
            "Rule",
            name=shared.names.rule(f"{name}-schedule"),
            description=f"Runs {function.name}",
            schedule_expression=f"rate({minutes} {'minute' if minutes == 1 else 'minutes'})",
            state="ENABLED",
            targets=[
                events.CfnRule.TargetProperty(
                    id="function",
                    arn=function.function.function_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=self.dead_letters.queue.queue_arn),
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_retry_attempts=MAX_RETRIES, maximum_event_age_in_seconds=MAX_EVENT_AGE.to_seconds()
                    ),
                )
            ],
        )
        self.dead_letters.allow_rule(self.rule.attr_arn)
        function.function.add_permission("Schedule", principal=iam.ServicePrincipal("events.amazonaws.com"), source_arn=self.rule.attr_arn)
        self.dead_letters.allow_send(function)
        lambda_.CfnEventInvokeConfig(
            self,
            "Asynchronous",
            function_name=function.function.function_name,
            qualifier="$LATEST",
            maximum_retry_attempts=MAX_RETRIES,
            maximum_event_age_in_seconds=MAX_EVENT_AGE.to_seconds(),
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=self.dead_letters.queue.queue_arn)
            ),
        )
