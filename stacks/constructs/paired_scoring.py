"""Paired scoring: while an experiment runs, the prediction table's stream feeds a function that asks the other variant as well."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from contracts.shared_words import VARIANTS
from stacks.constructs.alarm import Alarm
from stacks.constructs.dead_letter import DeadLetterQueue
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources

BATCH_SIZE = 20
"""Each record may wait for a model, so a batch must end within the function's time even if each waits as long as it may."""
TIMEOUT_SECONDS = 600
MAX_RECORD_AGE = Duration.hours(23)
"""The stream drops a record after 24 hours and tells nobody: an hour before, the mapping gives it up and says so in the dead letters."""
LATE = Duration.hours(1)


class PairedScoring(Construct):
    """The function ``score_pair``, its event source mapping, dead letters and the alarm on its lag.

    It is the stream's second reader at most, besides ``write_capture``: DynamoDB allows two (Developer Guide, "Change data capture").
    Lambda's filter lets nothing through while no experiment runs, so it costs nothing then.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources) -> None:
        super().__init__(scope, construct_id)
        names, settings, self._shared = shared.names, shared.settings, shared
        self.stream = ssm.StringParameter.value_for_string_parameter(self, names.parameter("predictions-stream-arn"))
        self.dead_letters = DeadLetterQueue(
            self,
            "DeadLetters",
            shared=shared,
            name="score-pair-dlq",
            holds="Predictions of an experiment that were never compared: the rollout has fewer pairs. Read score-pair's log for the cause",
        )
        self.function = PythonFunction(
            self,
            "ScorePair",
            shared=shared,
            folder="prediction/score_pair",
            description="Asks the other variant about answered texts while an experiment runs",
            timeout=TIMEOUT_SECONDS,
            environment={
                "ENDPOINT_NAME": names.endpoint,
                "PREDICTIONS_TABLE": names.predictions_table,
                "PAIRS_TABLE": names.pairs_table,
                "EXPERIMENT_PARAMETER": names.parameter("experiment"),
                "REVIEW_QUEUE_URL": names.queue_url("review-requests"),
                "PAIRED_SHARE": str(settings.rollout.paired_share),
                "REVIEWS_A_DAY": str(settings.rollout.reviews_a_day),
                "MODEL_DEADLINE_SECONDS": str(settings.api.model_deadline_seconds),
            },
            unrestricted={"dynamodb:ListStreams": "Lambda asks for it with a table's stream, and it lists names only"},
        )
        self._allow()
        self._feed()
        Alarm(
            self,
            "Late",
            shared=shared,
            name=names.alarm("score-pair-late"),
            meaning=f"Pairs are an hour behind, so a rollout decides late: read the log of {self.function.name}",
            metric=self.function.function.metric("IteratorAge", period=Duration.minutes(15), statistic="Maximum"),
            threshold=LATE.to_milliseconds(),
        )

    def _allow(self) -> None:
        names, function, key = self._shared.names, self.function, self._shared.key.key_arn
        function.allow(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], [self.stream])
        function.allow(["sagemaker:InvokeEndpoint"], [names.arn("sagemaker", f"endpoint/{names.endpoint}")])
        function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{names.parameter('experiment')}")])
        pairs = names.arn("dynamodb", f"table/{names.pairs_table}")
        function.allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], [pairs])
        function.allow(["dynamodb:GetItem", "dynamodb:UpdateItem"], [self._shared.predictions.table_arn])
        function.allow(["sqs:SendMessage"], [names.arn("sqs", names.queue("review-requests"))])
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [key])
        self.dead_letters.allow_send(function)

    def _feed(self) -> None:
        of_an_experiment = lambda_.FilterCriteria.filter(
            {
                "eventName": lambda_.FilterRule.is_equal("INSERT"),
                "dynamodb": {"NewImage": {"experiment": {"S": lambda_.FilterRule.exists()}, "variant": {"S": list(VARIANTS)}}},
            }
        )
        mapping = lambda_.EventSourceMapping(
            self,
            "Feed",
            target=self.function.function,
            event_source_arn=self.stream,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=BATCH_SIZE,
            max_record_age=MAX_RECORD_AGE,
            report_batch_item_failures=True,
            filters=[of_an_experiment],
            on_failure=event_sources.SqsDlq(self.dead_letters.queue),
        )
        # Lambda checks the role's grants when the mapping is made, and a role does not wait for its own policy.
        mapping.node.add_dependency(self.function.role)
