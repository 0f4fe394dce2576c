"""``hosting.capture: app``: a function writes the prediction table's stream as captured lines, in the place of the endpoint's capture."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Duration, Validations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from contracts.shared_words import VARIANTS
from stacks.constructs.alarm import Alarm
from stacks.constructs.dead_letter import DeadLetterQueue
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources

BATCH_SIZE = 10_000
"""Lambda's most; a batch ends at 6 MB before. Large ones make few objects, which are most of the cost (docs/architecture.md)."""
WINDOW_SECONDS = 60
MAX_RECORD_AGE = Duration.hours(23)
"""The stream drops a record after 24 hours and tells nobody: an hour before, the mapping gives it up and says so in the dead letters."""
LATE = Duration.hours(1)


class CaptureWriter(Construct):
    """The function ``write_capture``, its event source mapping, dead letters and the alarm on its lag.

    A batch that fails is tried until its records are 23 hours old, in halves, so one that no try can write keeps no other back.
    One batch a shard at a time is enough: a shard brings at most 1,000 small records a second, and a batch of thousands takes a second.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources) -> None:
        super().__init__(scope, construct_id)
        names, self._shared = shared.names, shared
        self.stream = ssm.StringParameter.value_for_string_parameter(self, names.parameter("predictions-stream-arn"))
        self.dead_letters = DeadLetterQueue(
            self,
            "DeadLetters",
            shared=shared,
            name="write-capture-dlq",
            holds="Predictions that were not captured: remove the cause, then invoke write-capture with their prediction_ids",
        )
        Validations.of(self.dead_letters.queue).acknowledge(
            Acknowledgment(id="AwsSolutions-SQS3", reason="It is itself the dead-letter queue, of a stream's mapping instead of a queue")
        )
        self.function = PythonFunction(
            self,
            "WriteCapture",
            shared=shared,
            folder="prediction/write_capture",
            description="Writes predictions from the table's stream as captured lines",
            timeout=120,
            memory=512,
            environment={
                "CAPTURE_BUCKET": names.bucket("capture"),
                "ENDPOINT_NAME": names.endpoint,
                "CAPTURE_PERCENT": str(shared.settings.hosting.capture_percent),
                "PREDICTIONS_TABLE": names.predictions_table,
                "DEAD_LETTERS_URL": self.dead_letters.queue.queue_url,
            },
            unrestricted={"dynamodb:ListStreams": "Lambda asks for it with a table's stream, and it lists names only"},
        )
        self._allow()
        self._feed()
        self._alarm()

    def _allow(self) -> None:
        """What Lambda needs to read the stream as this function, and what the function itself does."""
        names, function = self._shared.names, self.function
        function.allow(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], [self.stream])
        function.allow(["dynamodb:GetItem"], [self._shared.predictions.table_arn])
        captured = names.bucket_arn("capture", f"capture/{names.endpoint}/*")
        function.allow(["s3:PutObject"], [captured], because="An object is named by the hour and the predictions inside")
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self._shared.key.key_arn])
        self.dead_letters.allow_send(function)

    def _feed(self) -> None:
        answered = lambda_.FilterCriteria.filter(
            {
                "eventName": lambda_.FilterRule.is_equal("INSERT"),
                # A text that people labelled in bulk lies in the table too, and no variant has answered it.
                "dynamodb": {"NewImage": {"variant": {"S": list(VARIANTS)}}},
            }
        )
        mapping = lambda_.EventSourceMapping(
            self,
            "Feed",
            target=self.function.function,
            event_source_arn=self.stream,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=BATCH_SIZE,
            max_batching_window=Duration.seconds(WINDOW_SECONDS),
            bisect_batch_on_error=True,
            max_record_age=MAX_RECORD_AGE,
            filters=[answered],
            on_failure=event_sources.SqsDlq(self.dead_letters.queue),
        )
        # Lambda checks the role's grants when the mapping is made, and a role does not wait for its own policy.
        mapping.node.add_dependency(self.function.role)

    def _alarm(self) -> None:
        Alarm(
            self,
            "Late",
            shared=self._shared,
            name=self._shared.names.alarm("write-capture-late"),
            meaning=f"Captured answers are an hour behind: read the log of {self.function.name}; the stream keeps them for a day",
            metric=self.function.function.metric("IteratorAge", period=Duration.minutes(15), statistic="Maximum"),
            threshold=LATE.to_milliseconds(),
        )
