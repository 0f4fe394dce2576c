"""The hosted backend: what the page and the sweep may do, what stands in front of the page, and what the table keeps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apps import new_app
from aws_cdk.assertions import Match, Template
from deployed_definition import grants, resolve, stage_names

from lambdas.review.hosted import Adaptive, terms_of
from lambdas.review.hosted_tasks.ending import OUTPUT_PREFIX
from lambdas.review.start_review.handler import STARTERS
from stacks.constructs import hosted_backend, worker_page
from stacks.review import ReviewStack
from stacks.settings import load_settings
from stacks.settings.file import SettingsError
from stacks.settings.guidelines import GuidelinesSettings
from stacks.settings.review import AdaptiveSettings, AnswersSettings, MailSettings, PageSettings

ROOT = Path(__file__).resolve().parents[2]
STAGE = "newacct"
NAMES = stage_names(STAGE)


@pytest.fixture(scope="module")
def template(synthesised: Callable[[str], Path]) -> Template:
    return part(synthesised, "review")


def part(synthesised: Callable[[str], Path], name: str) -> Template:
    document = json.loads((synthesised(STAGE) / f"{NAMES.stack(name)}.template.json").read_text())
    for item in document["Resources"].values():
        item.pop("DependsOn", None)  # of a stack alone; assertions take no cycles
    return Template.from_json(document)


def variables(template: Template, function: str) -> dict[str, str]:
    document = template.to_json()
    [found] = [
        item["Properties"]["Environment"]["Variables"]
        for item in document["Resources"].values()
        if item["Type"] == "AWS::Lambda::Function" and item["Properties"]["FunctionName"] == NAMES.function(function)
    ]
    given: dict[str, str] = resolve(document, found)
    return given


def test_tasks_are_opened_as_the_settings_say(template: Template) -> None:
    given = variables(template, "start-review")
    assert given["REVIEW_BACKEND"] in STARTERS
    target = json.loads(given["REVIEW_TARGET"])
    assert (target["table"], target["retention_days"]) == (NAMES.review_tasks_table, 365)
    terms = terms_of(target["terms"])
    assert (terms.rule, terms.most, terms.undo_seconds, terms.time_limit_seconds) == ("two_then_third", 3, 60, 3_600)
    assert hosted_backend.OUTPUT_PREFIX == OUTPUT_PREFIX


def test_no_closed_service_is_asked_for(template: Template) -> None:
    text = json.dumps(template.to_json())
    assert [word for word in ("sagemaker:", "AWS::SageMaker", "human-loop", "Custom::FlowDefinition") if word in text] == []


COMMON = {
    "logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords", "kms:Decrypt", "kms:GenerateDataKey",
}  # fmt: skip
TASKS = {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem", "s3:PutObject", "sqs:SendMessage"}


PAGE = {
    "dynamodb:BatchGetItem", "dynamodb:DeleteItem", "ssm:GetParameter", "cognito-idp:AdminGetUser", "cognito-idp:AdminListGroupsForUser",
}  # fmt: skip


@pytest.mark.parametrize(("role", "own"), [("PageRole", TASKS | PAGE), ("SweepRole", TASKS)])
def test_each_function_has_just_its_grants(template: Template, role: str, own: set[str]) -> None:
    found = grants(template, role)
    assert found.keys() - COMMON == own
    assert all("*" not in resource.rsplit("/", 1)[0] for action in own for resource in found[action])
    assert all(resource.endswith("/hosted/*") for resource in found["s3:PutObject"])
    assert {resource.rsplit(":", 1)[-1] for resource in found["dynamodb:PutItem"]} == {f"table/{NAMES.review_tasks_table}"}


def test_a_worker_template_with_a_script_needs_the_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.liquid"
    own.write_text("<input name=a>\n<script>go()</script>")
    monkeypatch.setattr(worker_page, "TEMPLATE", own)
    monkeypatch.setattr(hosted_backend, "TEMPLATE", own)
    hosted_backend.check_worker_template(GuidelinesSettings(), scripts=True)
    with pytest.raises(
        SettingsError, match=r"own.liquid cannot be shown with review.page.template_scripts false: line 2: the element script"
    ):
        hosted_backend.check_worker_template(GuidelinesSettings(), scripts=False)


def test_mails_gold_tasks_and_template_scripts_are_there_where_the_settings_say_so(template: Template) -> None:
    settings = load_settings(ROOT / "settings" / f"{STAGE}.yaml")
    mail = MailSettings(addresses=("ann@example.com", "bob@example.com"), after_minutes=45, every_hours=12)
    changes = {"mail": mail, "gold_share": 0.05, "answers": AnswersSettings(adaptive=AdaptiveSettings())}
    review = settings.review.model_copy(update={**changes, "page": PageSettings(template_scripts=True)})
    assert "TEMPLATE_SCRIPTS" not in variables(template, "review-page")
    template = Template.from_stack(ReviewStack(new_app(), settings.model_copy(update={"review": review})))
    [topic] = template.find_resources("AWS::SNS::Topic").values()
    assert (topic["Properties"]["TopicName"], "KmsMasterKeyId" in topic["Properties"]) == (NAMES.task_topic, True)
    found = [one["Properties"] for one in template.find_resources("AWS::SNS::Subscription").values()]
    assert {(one["Protocol"], one["Endpoint"]) for one in found} == {("email", address) for address in mail.addresses}
    granted = grants(template, "MailAnnounceRole")
    assert granted.keys() - COMMON == {
        "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "ssm:GetParameter", "sns:Publish", "sqs:SendMessage"
    }  # fmt: skip
    assert len(granted["sns:Publish"]) == 1
    given = variables(template, "announce-tasks")
    assert (given["AFTER_MINUTES"], given["EVERY_HOURS"], given["TEAM"]) == ("45", "12", "reviewers")
    terms = terms_of(json.loads(variables(template, "start-review")["REVIEW_TARGET"])["terms"])
    assert (terms.gold_share, terms.adaptive) == (0.05, Adaptive(0.85, 0.8, settings.retraining.holdout_share))
    assert "dynamodb:GetItem" in grants(template, "StartReviewRole")
    assert variables(template, "review-page")["TEMPLATE_SCRIPTS"] == "true"


def test_the_page_is_throttled_logged_and_of_one_origin(template: Template) -> None:
    [stage] = template.find_resources("AWS::ApiGatewayV2::Stage").values()
    assert stage["Properties"]["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 400, "ThrottlingRateLimit": 200}
    assert "AccessLogSettings" in stage["Properties"]
    [api] = template.find_resources("AWS::ApiGatewayV2::Api").values()
    assert "CorsConfiguration" not in api["Properties"]
    [distribution] = template.find_resources("AWS::CloudFront::Distribution").values()
    config = distribution["Properties"]["DistributionConfig"]
    behaviors = [config["DefaultCacheBehavior"], *config["CacheBehaviors"]]
    assert {one["ViewerProtocolPolicy"] for one in behaviors} == {"redirect-to-https"}
    assert all("ResponseHeadersPolicyId" in one for one in behaviors)
    assert "WebACLId" not in config
    [headers] = template.find_resources("AWS::CloudFront::ResponseHeadersPolicy").values()
    assert "CorsConfig" not in headers["Properties"]["ResponseHeadersPolicyConfig"]


def test_the_account_wide_policy_of_headers_is_named_by_region(template: Template) -> None:
    """Or the same stage in two regions of an account would meet: ResponseHeadersPolicyAlreadyExists."""
    [headers] = template.find_resources("AWS::CloudFront::ResponseHeadersPolicy").values()
    assert headers["Properties"]["ResponseHeadersPolicyConfig"]["Name"] == f"{NAMES.prefix}-review-page-us-east-1"


KEPT_ERRORS = {400, 403, 404, 405, 414, 416, 500, 501, 502, 503, 504}
"""Status codes that CloudFront keeps for 10 s when nothing else is said: a GET's answer no-store does not change that.

https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/HTTPStatusCodes.html
"""


def test_an_error_of_one_person_is_answered_to_nobody_else(template: Template) -> None:
    distributions = template.find_resources("AWS::CloudFront::Distribution").values()
    assert len(distributions) == 1
    for distribution in distributions:
        responses = distribution["Properties"]["DistributionConfig"].get("CustomErrorResponses", [])
        assert {one["ErrorCode"] for one in responses if one["ErrorCachingMinTTL"] == 0} == KEPT_ERRORS
        assert [one for one in responses if "ResponsePagePath" in one] == []


def test_people_sign_in_by_code_alone_and_come_back_to_the_page(template: Template) -> None:
    [client] = template.find_resources("AWS::Cognito::UserPoolClient").values()
    properties: dict[str, Any] = client["Properties"]
    assert (properties["AllowedOAuthFlows"], properties["GenerateSecret"]) == (["code"], False)
    assert "ALLOW_USER_PASSWORD_AUTH" not in properties["ExplicitAuthFlows"]
    [back] = properties["CallbackURLs"]
    assert back["Fn::Join"][1][-1] == "/worker/signed-in"
    template.has_resource_properties(
        "AWS::Cognito::UserPool", {"MfaConfiguration": "ON", "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}}
    )
    names = {one["Properties"]["GroupName"] for one in template.find_resources("AWS::Cognito::UserPoolGroup").values()}
    assert names == {"reviewers", "leads"}


def test_a_change_of_the_backend_keeps_the_people(template: Template, synthesised: Callable[[str], Path]) -> None:
    other = json.loads((synthesised("dev") / f"{stage_names('dev').stack('review')}.template.json").read_text())["Resources"]
    for kind in ("AWS::Cognito::UserPool", "AWS::Cognito::UserPoolDomain"):
        assert set(template.find_resources(kind)) == {name for name, item in other.items() if item["Type"] == kind}


def test_the_table_of_tasks_is_kept_like_its_neighbour(synthesised: Callable[[str], Path]) -> None:
    foundation = part(synthesised, "foundation")
    tables = foundation.find_resources("AWS::DynamoDB::Table", {"Properties": {"TableName": Match.string_like_regexp("review-tasks$")}})
    [table] = tables.values()
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    properties = table["Properties"]
    assert properties["SSESpecification"]["SSEType"] == "KMS"
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "delete_after", "Enabled": True}
    assert (properties["DeletionProtectionEnabled"], "StreamSpecification" in properties) == (True, False)
    keys = {one["IndexName"]: [key["AttributeName"] for key in one["KeySchema"]] for one in properties["GlobalSecondaryIndexes"]}
    assert keys == {"open-tasks": ["queue", "waiting_since"], "due-tasks": ["due", "due_at"]}
