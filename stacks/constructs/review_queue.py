"""A work queue with its dead-letter queue: a message that fails five times is kept there, and an alarm goes off."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.dead_letter import DeadLetterQueue, allow_rule, allow_send
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources

MAX_RECEIVES = 5
CONSUMER_TIMEOUT = 60
"""Timeout of the functions that read the queues; seconds."""
VISIBILITY_SECONDS = 6 * CONSUMER_TIMEOUT
"""AWS's advice for queues that feed a function: six times the function's timeout, so that a throttled batch is not seen twice."""
LONGEST_TRIES_SECONDS = MAX_RECEIVES * VISIBILITY_SECONDS
"""Seconds from the first receive of a message until it is a dead letter."""


class ReviewQueue(Construct):
    """``<prefix>-<name>`` and ``<prefix>-<name>-dlq`` with its alarm.

    Args:
        name: last part of the queue's name, such as ``review-requests``.
        dead_letters_hold: what a dead letter means and what to do, in a sentence; the alarm's description.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: SharedResources,
        name: str,
        dead_letters_hold: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        queue_name = shared.names.queue(name)
        self.dead_letters = DeadLetterQueue(
            self,
            "DeadLetters",
            shared=shared,
            name=f"{name}-dlq",
            holds=dead_letters_hold,
            sources=[shared.names.arn("sqs", queue_name)],
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=queue_name,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=shared.key,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(VISIBILITY_SECONDS),
            # Well below the dead letters' two weeks: a dead letter's age counts from its first arrival here.
            retention_period=Duration.days(4),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters.queue, max_receive_count=MAX_RECEIVES),
        )

    def feed(self, function: PythonFunction, *, batch_size: int = 10, max_concurrency: int | None = None) -> lambda_.EventSourceMapping:
        """Invoke ``function`` with batches. The function returns the messages that failed, and only these are delivered again.

        ``max_concurrency`` (2-1000) keeps a burst from running into the limits of the service that the function calls.
        """
        function.allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"], [self.queue.queue_arn])
        function.allow(["kms:Decrypt"], [self._shared.key.key_arn])
        mapping = lambda_.EventSourceMapping(
            self,
            "Feed",
            target=function.function,
            event_source_arn=self.queue.queue_arn,
            batch_size=batch_size,
            report_batch_item_failures=True,
            max_concurrency=max_concurrency,
        )
        # Lambda checks the role's grants when the mapping is made, and a role does not wait for its own policy.
        mapping.node.add_dependency(function.role)
        return mapping

    def allow_send(self, function: PythonFunction) -> None:
        """Let the function put messages here."""
        allow_send(function, self.queue, self._shared)

    def allow_rule(self, rule_arn: str) -> None:
        """Let one EventBridge rule put events here."""
        allow_rule(self.queue, rule_arn)
