"""Paired scoring: fed by the predictions of an experiment alone, told of whatever is lost, and allowed no more than it does."""

from __future__ import annotations

import json
from typing import Any

import pytest
from apps import findings, template_of
from aws_cdk.assertions import Template
from deployed_definition import arn, each, grants, properties, resolve, stage_names
from endpoint_choices import CHOICES, DEV

from contracts.shared_words import VARIANTS
from lambdas.common.environment import read_environment
from lambdas.prediction.score_pair.handler import Environment
from stacks.constructs.paired_scoring import BATCH_SIZE, TIMEOUT_SECONDS
from stacks.foundation import FoundationStack
from stacks.rollout.stack import RolloutStack
from stacks.settings import Settings

NAMES = stage_names("dev")
MODEL_TRIES_SECONDS = 18
"""The longest ``api.model_deadline_seconds``."""


def of_name(template: Template, kind: str, key: str, name: str) -> dict[str, Any]:
    (found,) = (item for item in properties(template, kind) if item.get(key) == name)
    return dict(found)


def mapping(template: Template) -> dict[str, Any]:
    (found,) = template.find_resources("AWS::Lambda::EventSourceMapping").values()
    return dict(found)


@pytest.fixture(scope="module")
def template() -> Template:
    return template_of(RolloutStack, DEV)


@pytest.mark.parametrize("capture", ["endpoint", "app", "off"])
def test_the_stream_is_there_where_people_can_be_asked_whoever_captures(capture: str) -> None:
    raw = DEV.model_dump(exclude_unset=True)
    raw["hosting"]["capture"] = capture
    if capture == "off":
        raw.pop("drift")
        raw["retraining"]["on_drift"] = False
    foundation = template_of(FoundationStack, Settings.model_validate(raw))
    table = of_name(foundation, "AWS::DynamoDB::Table", "TableName", NAMES.predictions_table)
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"
    assert "StreamSpecification" not in of_name(foundation, "AWS::DynamoDB::Table", "TableName", NAMES.pairs_table)


def test_only_new_predictions_of_an_experiment_reach_the_function(template: Template) -> None:
    (pattern,) = (json.loads(one["Pattern"]) for one in mapping(template)["Properties"]["FilterCriteria"]["Filters"])
    image = {"experiment": {"S": [{"exists": True}]}, "variant": {"S": list(VARIANTS)}}
    assert pattern == {"eventName": ["INSERT"], "dynamodb": {"NewImage": image}}


def test_a_record_that_fails_comes_again_and_is_told_of_before_the_stream_drops_it(template: Template) -> None:
    found = mapping(template)["Properties"]
    (queue,) = template.find_resources("AWS::SQS::Queue", {"Properties": {"QueueName": NAMES.queue("score-pair-dlq")}})
    assert found["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert found["StartingPosition"] == "TRIM_HORIZON"
    assert found["MaximumRecordAgeInSeconds"] == 23 * 3_600
    assert found["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": [queue, "Arn"]}


def test_a_batch_ends_in_time_even_if_every_record_waits_as_long_as_it_may(template: Template) -> None:
    function = of_name(template, "AWS::Lambda::Function", "FunctionName", NAMES.function("score-pair"))
    assert function["Timeout"] == TIMEOUT_SECONDS
    assert BATCH_SIZE * MODEL_TRIES_SECONDS < TIMEOUT_SECONDS


def test_the_function_may_do_what_it_does_and_no_more(template: Template) -> None:
    found = grants(template, "PairedScoringScorePairRole")
    stream = resolve(template.to_json(), mapping(template)["Properties"]["EventSourceArn"])
    (queue,) = template.find_resources("AWS::SQS::Queue", {"Properties": {"QueueName": NAMES.queue("score-pair-dlq")}})
    for shared in ("logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"):
        del found[shared]
    (key,) = found["kms:Decrypt"]
    pairs, predictions = (arn("dynamodb", f"table/{name}") for name in (NAMES.pairs_table, NAMES.predictions_table))
    assert found == {
        **each(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], stream),
        "dynamodb:ListStreams": {"*"},
        "dynamodb:GetItem": {pairs, predictions},
        "dynamodb:PutItem": {pairs},
        "dynamodb:UpdateItem": {pairs, predictions},
        "sagemaker:InvokeEndpoint": {arn("sagemaker", f"endpoint/{NAMES.endpoint}")},
        "ssm:GetParameter": {arn("ssm", f"parameter{NAMES.parameter('experiment')}")},
        "sqs:SendMessage": {
            arn("sqs", NAMES.queue("review-requests")),
            resolve(template.to_json(), {"Fn::GetAtt": [queue, "Arn"]}),
        },
        **each(["kms:Decrypt", "kms:GenerateDataKey"], key),
    }


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_function_gets_every_setting_that_it_reads(name: str) -> None:
    settings, names = CHOICES[name], stage_names(name)
    found = template_of(RolloutStack, settings)
    function = of_name(found, "AWS::Lambda::Function", "FunctionName", names.function("score-pair"))
    given = {key: value if isinstance(value, str) else json.dumps(value) for key, value in function["Environment"]["Variables"].items()}
    environment = read_environment(Environment, given)
    assert (environment.pairs_table, environment.experiment_parameter) == (names.pairs_table, names.parameter("experiment"))
    assert environment.paired_share == settings.rollout.paired_share
    assert environment.reviews_a_day == settings.rollout.reviews_a_day
    assert environment.model_deadline_seconds == settings.api.model_deadline_seconds


def test_a_lag_of_an_hour_rings(template: Template) -> None:
    alarm = of_name(template, "AWS::CloudWatch::Alarm", "AlarmName", NAMES.alarm("score-pair-late"))
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("IteratorAge", "Maximum", 3_600_000)
    assert resolve(template.to_json(), alarm["AlarmActions"]) == [arn("sns", NAMES.alert_topic)]


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_no_finding_is_left_unanswered(name: str) -> None:
    assert findings(RolloutStack, CHOICES[name]) == []
