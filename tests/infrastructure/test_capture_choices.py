"""``hosting.capture``: by the endpoint, by the app from the prediction table's stream, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from apps import findings, template_of
from aws_cdk.assertions import Template
from deployed_definition import arn, each, grants, properties, resolve, stage_names
from endpoint_choices import DEV

from contracts.shared_words import VARIANTS
from lambdas.common.environment import read_environment
from lambdas.prediction.write_capture import handler as write_capture
from lambdas.retraining.freeze_dataset import handler as freeze
from stacks.endpoint import EndpointStack
from stacks.foundation import FoundationStack
from stacks.monitoring import MonitoringStack
from stacks.retraining import RetrainingStack
from stacks.settings import Settings

NAMES = stage_names("dev")
STREAM = NAMES.parameter("predictions-stream-arn")


def with_capture(capture: str) -> Settings:
    raw = DEV.model_dump(exclude_unset=True)
    raw["hosting"]["capture"] = capture
    if capture == "off":
        raw.pop("drift")
        raw["retraining"]["on_drift"] = False
    return Settings.model_validate(raw)


def captured(kind: Any, capture: str) -> Template:
    return template_of(kind, with_capture(capture))


@pytest.fixture(scope="module")
def app() -> Template:
    return captured(MonitoringStack, "app")


def of_name(template: Template, kind: str, key: str, name: str) -> dict[str, Any]:
    (found,) = (item for item in properties(template, kind) if item.get(key) == name)
    return dict(found)


@pytest.mark.parametrize("capture", ["app", "off"])
def test_without_endpoint_capture_no_configuration_asks_for_it_and_no_model_may_write_it(capture: str) -> None:
    """Data capture of endpoints is closed to new customers with Model Monitor: a configuration with it could not be made."""
    template = captured(EndpointStack, capture)
    (config,) = properties(template, "AWS::SageMaker::EndpointConfig")
    assert "DataCaptureConfig" not in config
    assert "s3:PutObject" not in grants(template, "EndpointRole")
    assert "-capture-" not in json.dumps(template.to_json())


def test_by_the_endpoint_there_is_no_writer_and_nobody_to_ask_needs_no_stream() -> None:
    """Where people are asked, paired scoring reads the stream (tests/infrastructure/test_paired_scoring.py)."""
    monitoring = captured(MonitoringStack, "endpoint")
    settings = with_capture("endpoint")
    nobody = settings.review.model_copy(update={"backend": "none"})
    foundation = template_of(FoundationStack, settings.model_copy(update={"review": nobody}))
    table = of_name(foundation, "AWS::DynamoDB::Table", "TableName", NAMES.predictions_table)
    assert "StreamSpecification" not in table
    assert STREAM not in [item["Name"] for item in properties(foundation, "AWS::SSM::Parameter")]
    assert not properties(monitoring, "AWS::Lambda::EventSourceMapping")
    assert "DataCaptureConfig" in properties(captured(EndpointStack, "endpoint"), "AWS::SageMaker::EndpointConfig")[0]


def test_the_stream_has_new_images_and_its_name_is_a_parameter_that_the_writer_reads(app: Template) -> None:
    foundation = captured(FoundationStack, "app")
    name = {"Properties": {"TableName": NAMES.predictions_table}}
    (table,) = foundation.find_resources("AWS::DynamoDB::Table", name).items()
    assert table[1]["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    (written,) = foundation.find_resources("AWS::SSM::Parameter", {"Properties": {"Name": STREAM}}).values()
    assert written["Properties"]["Value"] == {"Fn::GetAtt": [table[0], "StreamArn"]}
    (parameter,) = (name for name, item in app.to_json()["Parameters"].items() if item.get("Default") == STREAM)
    (mapping,) = app.find_resources("AWS::Lambda::EventSourceMapping").values()
    assert mapping["Properties"]["EventSourceArn"] == {"Ref": parameter}


def test_the_table_is_read_whole_by_the_stream_and_nothing_is_given_up_before_it_must_be(app: Template) -> None:
    """The stream forgets a record after 24 hours in silence; until an hour before, every try is made."""
    (mapping,) = (item["Properties"] for item in app.find_resources("AWS::Lambda::EventSourceMapping").values())
    queue = app.find_resources("AWS::SQS::Queue", {"Properties": {"QueueName": NAMES.queue("write-capture-dlq")}})
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert "MaximumRetryAttempts" not in mapping
    assert 12 * 3_600 < mapping["MaximumRecordAgeInSeconds"] < 24 * 3_600
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": [next(iter(queue)), "Arn"]}
    (pattern,) = (json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"])
    assert pattern == {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"variant": {"S": list(VARIANTS)}}}}


def test_the_mapping_waits_for_the_roles_policy_as_lambda_checks_it_when_it_is_made(app: Template) -> None:
    (mapping,) = app.find_resources("AWS::Lambda::EventSourceMapping").values()
    assert [name for name in mapping["DependsOn"] if "DefaultPolicy" in name]


def test_the_writer_may_read_the_stream_and_write_below_the_endpoints_prefix_only(app: Template) -> None:
    found = grants(app, "CaptureWriterWriteCaptureRole")
    (mapping,) = properties(app, "AWS::Lambda::EventSourceMapping")
    (queue,) = app.find_resources("AWS::SQS::Queue", {"Properties": {"QueueName": NAMES.queue("write-capture-dlq")}})
    stream = resolve(app.to_json(), mapping["EventSourceArn"])
    for shared in ("logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"):
        del found[shared]
    (key,) = found["kms:Decrypt"]
    assert found == {
        **each(["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], stream),
        "dynamodb:ListStreams": {"*"},
        "dynamodb:GetItem": {arn("dynamodb", f"table/{NAMES.predictions_table}")},
        "s3:PutObject": {NAMES.bucket_arn("capture", f"capture/{NAMES.endpoint}/*")},
        "sqs:SendMessage": {resolve(app.to_json(), {"Fn::GetAtt": [queue, "Arn"]})},
        **each(["kms:Decrypt", "kms:GenerateDataKey"], key),
    }


def test_the_writer_gets_every_setting_that_it_reads(app: Template) -> None:
    function = of_name(app, "AWS::Lambda::Function", "FunctionName", NAMES.function("write-capture"))
    given = {name: value if isinstance(value, str) else json.dumps(value) for name, value in function["Environment"]["Variables"].items()}
    environment = read_environment(write_capture.Environment, given)
    assert (environment.endpoint_name, environment.capture_percent) == (NAMES.endpoint, 100)
    assert environment.predictions_table == NAMES.predictions_table


def test_a_lag_of_an_hour_rings(app: Template) -> None:
    alarm = of_name(app, "AWS::CloudWatch::Alarm", "AlarmName", NAMES.alarm("write-capture-late"))
    function = app.find_resources("AWS::Lambda::Function", {"Properties": {"FunctionName": NAMES.function("write-capture")}})
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/Lambda", "IteratorAge", "Maximum")
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": resolve({}, {"Ref": next(iter(function))})}]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (3_600_000, "GreaterThanThreshold")
    assert resolve(app.to_json(), alarm["AlarmActions"]) == [arn("sns", NAMES.alert_topic)]


def test_the_drift_check_is_the_same_whoever_captures(app: Template) -> None:
    by_endpoint = captured(MonitoringStack, "endpoint")
    for kind in ("AWS::Glue::Table", "AWS::Athena::WorkGroup", "AWS::CloudWatch::Dashboard", "AWS::Events::Rule"):
        assert properties(app, kind) == properties(by_endpoint, kind), kind


def test_without_capture_nothing_is_there_that_could_only_look_at_nothing() -> None:
    monitoring = captured(MonitoringStack, "off")
    for kind in ("AWS::Glue::Table", "AWS::Glue::Database", "AWS::Athena::WorkGroup", "AWS::Lambda::EventSourceMapping"):
        assert not properties(monitoring, kind), kind
    text = json.dumps(monitoring.to_json())
    assert "drift" not in text.lower()
    assert "reconcile" in text


def test_without_capture_a_retraining_has_no_reference_and_reads_no_served_text() -> None:
    template = captured(RetrainingStack, "off")
    function = of_name(template, "AWS::Lambda::Function", "FunctionName", NAMES.function("freeze-dataset"))
    environment = read_environment(freeze.Environment, resolve(template.to_json(), function["Environment"]["Variables"]))
    assert environment.capture_bucket == ""
    assert "-capture-" not in json.dumps(template.to_json())
    assert "dynamodb:BatchGetItem" not in grants(template, "FreezeDatasetRole")
    assert not [rule for rule in properties(template, "AWS::Events::Rule") if rule["Name"].endswith("retrain-on-drift")]


@pytest.mark.parametrize("capture", ["app", "off"])
@pytest.mark.parametrize("kind", [FoundationStack, EndpointStack, MonitoringStack, RetrainingStack])
def test_no_finding_is_left_unanswered(kind: Any, capture: str) -> None:
    assert findings(kind, with_capture(capture)) == []
