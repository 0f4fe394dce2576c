"""The prediction API and the roles of the endpoint stack: exact grants, IAM in front, and nothing that fails unnoticed."""

from __future__ import annotations

import json

import pytest
from aws_cdk.assertions import Match, Template
from deployed_definition import arn, each, grants, names_of, properties, resolve, stage_names, statements
from endpoint_choices import CHOICES, DEV, endpoint_template, variant_alarms

from embedded_aws.cloudwatch.alarms import expressions
from lambdas.common.environment import read_environment
from lambdas.prediction.predict.handler import Environment
from stacks.settings.api import ApiSettings

NAMES = stage_names("dev")


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    return {name: endpoint_template(CHOICES[name]) for name in ("dev", "prod", "vpc", "longest names", "account role kept")}


@pytest.fixture(scope="module")
def template(templates: dict[str, Template]) -> Template:
    return templates["dev"]


# -- the models' role --------------------------------------------------------------------------------


def test_models_read_artifacts_write_captures_and_see_their_rollback_alarms(template: Template) -> None:
    ecr = "arn:aws:ecr:us-east-1:763104351884:repository/huggingface-pytorch-inference"
    found = grants(template, "EndpointRole")
    (key,) = found["kms:Decrypt"]
    buckets = {purpose: NAMES.bucket_arn(purpose) for purpose in ("models", "capture")}
    logs = arn("logs", f"log-group:/aws/sagemaker/Endpoints/{NAMES.endpoint}*")
    assert found == {
        "s3:GetObject": {f"{buckets['models']}/training/*"},
        "s3:ListBucket": {buckets["models"]},
        "s3:PutObject": {f"{buckets['capture']}/capture/{NAMES.endpoint}/*"},
        **each(["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:CreateGrant"], key),
        "cloudwatch:DescribeAlarms": {arn("cloudwatch", f"alarm:{NAMES.rollback_alarms(v)}*") for v in ("champion", "challenger")},
        "cloudwatch:PutMetricData": {"*"},
        **each(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], logs),
        "ecr:GetAuthorizationToken": {"*"},
        **each(["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"], ecr),
    }
    conditions = {item["Action"]: item["Condition"] for item in statements(template, "EndpointRole") if "Condition" in item}
    assert conditions == {
        "kms:CreateGrant": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
        "cloudwatch:PutMetricData": {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}},
    }


def test_every_rollback_alarm_lies_within_what_the_role_may_see(template: Template) -> None:
    allowed = [one.rsplit("alarm:", 1)[-1].removesuffix("*") for one in grants(template, "EndpointRole")["cloudwatch:DescribeAlarms"]]
    for alarm in variant_alarms(template, green=True).values():
        assert str(resolve(template.to_json(), alarm["Properties"]["AlarmName"])).startswith(tuple(allowed))


@pytest.mark.parametrize("name", ["dev", "prod", "longest names"])
def test_the_role_is_sagemakers_alone_and_has_the_name_that_a_rollout_may_pass(templates: dict[str, Template], name: str) -> None:
    (role,) = (item for item in properties(templates[name], "AWS::IAM::Role") if item.get("RoleName"))
    assert role["RoleName"] == names_of(CHOICES[name]).endpoint_role
    assert len(role["RoleName"]) <= 64
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Action"], trust["Principal"]) == ("sts:AssumeRole", {"Service": "sagemaker.amazonaws.com"})


def test_in_a_vpc_interfaces_are_made_in_the_given_subnets_and_groups_only(templates: dict[str, Template]) -> None:
    found = grants(templates["vpc"], "EndpointRole")
    assert found["ec2:CreateNetworkInterface"] == {
        arn("ec2", part) for part in ("subnet/subnet-0a1b", "security-group/sg-0c2d", "network-interface/*")
    }
    assert not [action for action in grants(templates["dev"], "EndpointRole") if action.startswith("ec2:")]


# -- the API -----------------------------------------------------------------------------------------


def test_the_api_has_one_method_and_iam_guards_it(template: Template) -> None:
    (method,) = properties(template, "AWS::ApiGateway::Method")
    (resource,) = properties(template, "AWS::ApiGateway::Resource")
    assert (method["HttpMethod"], resource["PathPart"], method["AuthorizationType"]) == ("POST", "predict", "AWS_IAM")
    assert method["Integration"]["Type"] == "AWS_PROXY"


def test_the_stage_is_throttled_and_logged_without_the_callers_texts(template: Template) -> None:
    (stage,) = properties(template, "AWS::ApiGateway::Stage")
    (settings,) = stage["MethodSettings"]
    assert (stage["StageName"], stage["TracingEnabled"]) == ("v1", True)
    limits = CHOICES["dev"].api
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (limits.rate_limit, limits.burst_limit)
    assert settings.get("LoggingLevel", "OFF") == "OFF"
    assert not settings.get("DataTraceEnabled")
    assert "body" not in stage["AccessLogSetting"]["Format"].lower()
    template.has_resource_properties(
        "AWS::Logs::LogGroup", {"LogGroupName": f"/aws/apigateway/{NAMES.prefix}", "KmsKeyId": Match.any_value(), "RetentionInDays": 14}
    )


def test_the_account_may_log_before_the_stage_does(template: Template) -> None:
    """A stage with an access log cannot be made in an account whose API Gateway has no role for logs."""
    ((account_id, account),) = template.find_resources("AWS::ApiGateway::Account").items()
    ((role_id, role),) = template.find_resources("AWS::IAM::Role", {"Properties": {"ManagedPolicyArns": Match.any_value()}}).items()
    (stage,) = template.find_resources("AWS::ApiGateway::Stage").values()
    assert account["Properties"]["CloudWatchRoleArn"] == {"Fn::GetAtt": [role_id, "Arn"]}
    assert account_id in stage["DependsOn"]
    assert {item["DeletionPolicy"] for item in (account, role)} == {"Retain"}, "other APIs of the account log by it too"


def test_an_account_keeps_the_role_that_it_has(templates: dict[str, Template]) -> None:
    templates["account role kept"].resource_count_is("AWS::ApiGateway::Account", 0)
    assert not templates["account role kept"].find_resources("AWS::IAM::Role", {"Properties": {"ManagedPolicyArns": Match.any_value()}})


def test_predict_asks_this_endpoint_puts_records_and_sends_requests_and_nothing_else(template: Template) -> None:
    found = grants(template, "PredictionsPredictRole")
    (key,) = found["kms:Decrypt"]
    log_group = found.pop("logs:PutLogEvents")
    assert found.pop("logs:CreateLogStream") == log_group
    assert found == {
        "sagemaker:InvokeEndpoint": {arn("sagemaker", f"endpoint/{NAMES.endpoint}")},
        "dynamodb:PutItem": {arn("dynamodb", f"table/{NAMES.predictions_table}")},
        "sqs:SendMessage": {arn("sqs", NAMES.queue("review-requests"))},
        "ssm:GetParameter": {arn("ssm", f"parameter{NAMES.parameter('experiment')}")},
        **each(["kms:Decrypt", "kms:GenerateDataKey"], key),
        **each(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*"),
    }
    assert ":key/" in key


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_predict_gets_every_setting_that_it_reads(templates: dict[str, Template], name: str) -> None:
    (function,) = properties(templates[name], "AWS::Lambda::Function")
    settings, given = CHOICES[name], function["Environment"]["Variables"]
    names = names_of(settings)
    wanted = Environment(
        endpoint_name=names.endpoint,
        predictions_table=names.predictions_table,
        review_queue_url=names.queue_url("review-requests"),
        experiment_parameter=names.parameter("experiment"),
        experiment_seconds=settings.rollout.notice_seconds,
        max_text_chars=settings.dataset.max_text_chars,
        audit_share=settings.review.audit_share,
        retention_days=settings.retention.prediction_days,
        model_deadline_seconds=settings.api.model_deadline_seconds,
        review_threshold=str(settings.review.threshold),
        daily_budget=settings.review.daily_budget or 0,
    )
    assert read_environment(Environment, given) == wanted
    assert function["Timeout"] <= 29  # API Gateway waits no longer


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_a_hung_endpoint_takes_no_more_than_the_concurrency_that_is_kept_for_predict(templates: dict[str, Template], name: str) -> None:
    """Lambda keeps 100 of an account's default of 1,000 unreserved; the functions of the rollback run in the rest."""
    (function,) = properties(templates[name], "AWS::Lambda::Function")
    assert function["ReservedConcurrentExecutions"] == CHOICES[name].api.reserved_concurrency
    assert 0 < function["ReservedConcurrentExecutions"] <= 900


def test_no_concurrency_is_reserved_in_an_account_that_has_none_to_spare() -> None:
    api = ApiSettings(reserved_concurrency=None, rate_limit=50, burst_limit=100)
    template = endpoint_template(DEV.model_copy(update={"api": api}))
    (function,) = properties(template, "AWS::Lambda::Function")
    assert "ReservedConcurrentExecutions" not in function


def test_what_the_gateway_answers_itself_has_the_form_of_the_api_and_says_when_to_come_back(template: Template) -> None:
    """A throttled function, one that cannot be reached and one that timed out are 5xx of the gateway's own."""
    found = {item["ResponseType"]: item for item in properties(template, "AWS::ApiGateway::GatewayResponse")}
    assert {kind: item["StatusCode"] for kind, item in found.items()} == {"DEFAULT_5XX": "503", "THROTTLED": "429"}
    for item in found.values():
        assert item["ResponseParameters"] == {"gatewayresponse.header.Retry-After": "'5'"}
        assert json.loads(item["ResponseTemplates"]["application/json"])["error"]["message"].endswith("later.")


def test_only_the_api_may_invoke_predict(template: Template) -> None:
    permissions = properties(template, "AWS::Lambda::Permission")
    assert {item["Principal"] for item in permissions} == {"apigateway.amazonaws.com"}
    assert all("/POST/predict" in str(item["SourceArn"]) for item in permissions)


def test_a_crash_of_predict_and_a_lost_review_ring(template: Template) -> None:
    alarms = {alarm["AlarmName"]: alarm for alarm in properties(template, "AWS::CloudWatch::Alarm")}
    for name, metric in (
        ("predictions-not-stored", "PredictionsNotStored"),
        ("endpoint-access-denied", "EndpointAccessDenied"),
        ("review-requests-lost", "ReviewRequestsLost"),
    ):
        assert (alarms[NAMES.alarm(name)]["MetricName"], alarms[NAMES.alarm(name)]["Threshold"]) == (metric, 0)
    throttled = alarms[NAMES.alarm("predict-throttled")]
    assert (throttled["Namespace"], throttled["MetricName"], throttled["Threshold"]) == ("AWS/Lambda", "Throttles", 0)
    lost, crashed = alarms[NAMES.alarm("review-requests-lost")], alarms[NAMES.alarm("predict-errors")]
    assert (lost["Namespace"], lost["MetricName"], lost["Threshold"]) == (NAMES.metric_namespace, "ReviewRequestsLost", 0)
    assert lost["Dimensions"] == [{"Name": "service", "Value": NAMES.function("predict")}]
    assert (crashed["Namespace"], crashed["MetricName"], crashed["Threshold"]) == ("AWS/Lambda", "Errors", 0)
    (function,) = template.find_resources("AWS::Lambda::Function")
    (crash,) = template.find_resources("AWS::CloudWatch::Alarm", {"Properties": {"AlarmName": NAMES.alarm("predict-errors")}}).values()
    assert crash["Properties"]["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": function}}]


@pytest.mark.parametrize(("failed", "requests", "share"), [(None, 100.0, 0.0), (6.0, 100.0, 0.06), (100.0, 100.0, 1.0), (None, None, None)])
def test_the_share_of_requests_without_a_prediction_rings(
    template: Template, failed: float | None, requests: float | None, share: float | None
) -> None:
    alarms = properties(template, "AWS::CloudWatch::Alarm")
    (alarm,) = (item for item in alarms if item["AlarmName"] == NAMES.alarm("predictions-failed"))
    (expression,) = (entry["Expression"] for entry in alarm["Metrics"] if "Expression" in entry)
    counts = {"PredictionsFailed": failed, "Requests": requests}
    series = {entry["Id"]: (counts[entry["MetricStat"]["Metric"]["MetricName"]],) for entry in alarm["Metrics"] if "MetricStat" in entry}
    assert expressions.evaluate(expression, series, {}, 1) == (share,)
    assert alarm["Threshold"] == CHOICES["dev"].api.max_failed_share


def test_callers_find_the_api_in_the_outputs(template: Template) -> None:
    outputs = template.to_json()["Outputs"]
    assert {"ApiUrl", "PredictUrl"} <= set(outputs)
    assert str(resolve(template.to_json(), outputs["PredictUrl"]["Value"])).endswith("/predict")
