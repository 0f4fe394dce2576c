"""A dead-letter queue that nobody can overlook: encrypted, kept for two weeks, with an alarm on its first message."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from stacks.constructs.alarm import AT_LEAST, Alarm
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources

RETENTION = Duration.days(14)
"""SQS keeps a message for at most this long."""


class DeadLetterQueue(Construct):
    """The queue ``<prefix>-<name>`` and the alarm ``<prefix>-<name>-not-empty``, which sends to the alert topic.

    Args:
        name: last part of the queue's name, such as ``review-requests-dlq``.
        holds: what a message here means and what to do, in a sentence; the alarm's description.
        sources: ARNs of the queues whose messages may end here; none for a rule's or a function's dead letters.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, shared: SharedResources, name: str, holds: str, sources: Sequence[str] = ()
    ) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        queues = [sqs.Queue.from_queue_arn(self, f"Source{index}", arn) for index, arn in enumerate(sources)]
        permission = sqs.RedrivePermission.BY_QUEUE if queues else sqs.RedrivePermission.DENY_ALL
        self.queue = sqs.Queue(
            self,
            "Queue",
            queue_name=shared.names.queue(name),
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=shared.key,
            enforce_ssl=True,
            retention_period=RETENTION,
            redrive_allow_policy=sqs.RedriveAllowPolicy(redrive_permission=permission, source_queues=queues or None),
        )
        if not queues:
            reason = "It is itself a dead-letter queue, of a rule or a function instead of a queue"
            Validations.of(self.queue).acknowledge(Acknowledgment(id="AwsSolutions-SQS3", reason=reason))
        self.alarm = Alarm(
            self,
            "NotEmpty",
            shared=shared,
            name=shared.names.alarm(f"{name}-not-empty"),
            meaning=holds,
            metric=self.queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1), statistic="Maximum"),
            threshold=1,
            comparison=AT_LEAST,
        )

    def allow_send(self, function: PythonFunction) -> None:
        """Let the function put messages here itself."""
        allow_send(function, self.queue, self._shared)

    def allow_rule(self, rule_arn: str) -> None:
        """Let one EventBridge rule put events here that its target refused."""
        allow_rule(self.queue, rule_arn)


def allow_send(function: PythonFunction, queue: sqs.IQueue, shared: SharedResources) -> None:
    """Let the function send messages to the queue, with the two key actions that this needs: SQS makes a data key and decrypts it."""
    function.allow(["sqs:SendMessage"], [queue.queue_arn])
    function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [shared.key.key_arn])


def allow_rule(queue: sqs.Queue, rule_arn: str) -> None:
    """The queue's resource policy decides for EventBridge; the key's policy (foundation stack) lets it encrypt."""
    queue.add_to_resource_policy(
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("events.amazonaws.com")],
            actions=["sqs:SendMessage"],
            resources=[queue.queue_arn],
            conditions={"ArnEquals": {"aws:SourceArn": rule_arn}},
        )
    )
