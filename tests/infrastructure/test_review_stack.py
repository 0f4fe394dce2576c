"""The review stack: who is asked, how, over which queues, and with which grants."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apps import findings, template_of
from aws_cdk.assertions import Match, Template
from deployed_definition import arn, resolve, stage_names

from lambdas.review.start_review.handler import STARTERS
from stacks.constructs.worker_page import TEMPLATE, guidelines, worker_page
from stacks.review import ReviewStack
from stacks.settings import load_settings
from stacks.settings.workforce import WorkforceSettings

NAMES = stage_names("dev")
DEV = load_settings(Path(__file__).resolve().parents[2] / "settings" / "dev.yaml")
TEAM = "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/ours"


@pytest.fixture(scope="module")
def template() -> Template:
    return template_of(ReviewStack, DEV)


@pytest.fixture(scope="module")
def imported() -> Template:
    review = DEV.review.model_copy(update={"workforce": WorkforceSettings(mode="import", workteam_arn=TEAM)})
    return template_of(ReviewStack, DEV.model_copy(update={"review": review}))


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in template.find_resources(kind).items()}


def statements(template: Template, role_prefix: str) -> Iterator[tuple[set[str], str, dict[str, Any]]]:
    """(actions, resource as text, condition) of the policies attached to the role whose logical id starts so."""
    for policy in resources(template, "AWS::IAM::Policy").values():
        if not any(role["Ref"].startswith(role_prefix) for role in policy["Roles"]):
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            yield set(actions), json.dumps(statement["Resource"]), statement.get("Condition", {})


def actions_of(template: Template, role_prefix: str) -> set[str]:
    return {action for actions, _, _ in statements(template, role_prefix) for action in actions}


ALWAYS = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def test_reviewers_are_invited_use_a_strong_password_and_a_second_factor(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Cognito::UserPool",
        {
            "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True},
            "MfaConfiguration": "ON",
            "EnabledMfas": ["SOFTWARE_TOKEN_MFA"],
            "DeletionProtection": "ACTIVE",
            "Policies": {
                "PasswordPolicy": {
                    "MinimumLength": 14, "RequireLowercase": True, "RequireUppercase": True, "RequireNumbers": True, "RequireSymbols": True,
                    "TemporaryPasswordValidityDays": 3,
                }
            },
        },
    )  # fmt: skip
    template.has_resource("AWS::Cognito::UserPool", {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"})


def test_the_portals_client_gets_its_call_back_after_the_workforce(template: Template) -> None:
    """The address is the workforce's, which needs the client: the client itself cannot name it."""
    [(client_id, client)] = resources(template, "AWS::Cognito::UserPoolClient").items()
    assert client["GenerateSecret"] is True
    assert not [key for key in client if "OAuth" in key or "URL" in key]
    [workforce_id] = template.find_resources("AWS::SageMaker::Workforce")
    [sign_in] = resources(template, "Custom::PortalSignIn").values()
    assert sign_in["ClientId"] == {"Ref": client_id}
    assert sign_in["SubDomain"] == {"Fn::GetAtt": [workforce_id, "SubDomain"]}


def test_a_changed_client_gets_its_call_back_again(template: Template) -> None:
    """CloudFormation's update of the client drops what the template does not say."""
    [client] = resources(template, "AWS::Cognito::UserPoolClient").values()
    [sign_in] = resources(template, "Custom::PortalSignIn").values()
    repeated = {key.replace("_", "").lower(): value for key, value in json.loads(sign_in["Client"]).items()}
    assert repeated == {key.lower(): value for key, value in client.items() if key != "UserPoolId"}


def test_the_sign_in_function_may_change_clients_of_the_one_pool(template: Template) -> None:
    [pool] = template.find_resources("AWS::Cognito::UserPool")
    own = {action: resource for actions, resource, _ in statements(template, "WorkforcePortalSignInRole") for action in actions - ALWAYS}
    assert own.keys() == {"cognito-idp:DescribeUserPoolClient", "cognito-idp:UpdateUserPoolClient"}
    assert set(own.values()) == {json.dumps({"Fn::GetAtt": [pool, "Arn"]})}


def test_the_sign_in_domain_differs_by_account_and_region(template: Template) -> None:
    [domain] = resources(template, "AWS::Cognito::UserPoolDomain").values()
    # The literal form is what is tested: account and region are in it.
    assert domain["Domain"] == {"Fn::Join": ["", ["reviewloop-dev-", {"Ref": "AWS::AccountId"}, "-us-east-1"]]}


def test_the_team_waits_for_domain_group_and_workforce(template: Template) -> None:
    [team] = template.find_resources("AWS::SageMaker::Workteam").values()
    needed = {
        next(iter(template.find_resources(kind)))
        for kind in ("AWS::Cognito::UserPoolDomain", "AWS::Cognito::UserPoolGroup", "AWS::SageMaker::Workforce")
    }
    assert needed <= set(team["DependsOn"])
    [workforce] = template.find_resources("AWS::SageMaker::Workforce").values()
    assert needed - set(template.find_resources("AWS::SageMaker::Workforce")) <= set(workforce["DependsOn"])
    [member] = team["Properties"]["MemberDefinitions"]
    assert member["CognitoMemberDefinition"]["CognitoUserGroup"] == "reviewers"


def test_an_imported_team_brings_its_own_workforce_and_sign_in(imported: Template) -> None:
    kinds = ("AWS::Cognito::UserPool", "AWS::Cognito::UserPoolClient", "AWS::SageMaker::Workforce", "AWS::SageMaker::Workteam")
    for kind in (*kinds, "Custom::PortalSignIn"):
        imported.resource_count_is(kind, 0)
    imported.has_resource_properties("Custom::FlowDefinition", {"WorkteamArn": TEAM})
    imported.has_output("WorkteamArn", {"Value": TEAM})
    assert "UserPoolId" not in imported.to_json()["Outputs"]


def test_the_flow_is_made_with_the_worker_page(template: Template) -> None:
    [flow] = resources(template, "Custom::FlowDefinition").values()
    assert flow["UiTemplate"] == worker_page(DEV.review.guidelines) != TEMPLATE.read_text(encoding="utf-8")
    [collect] = [
        one["Environment"]["Variables"]
        for one in resources(template, "AWS::Lambda::Function").values()
        if one["FunctionName"] == NAMES.function("collect-review")
    ]
    assert collect["GUIDELINES"] == guidelines(DEV.review.guidelines), "labels are stored with the version of the whole page"
    template.resource_count_is("AWS::SageMaker::HumanTaskUi", 0)  # going back to a page that exists would fail the stack


def test_the_worker_page_escapes_the_text_and_names_the_answer() -> None:
    source = TEMPLATE.read_text(encoding="utf-8")
    assert 'name="category"' in source
    assert "{{ task.input.labels | to_json | escape }}" in source
    assert "{{ task.input.text }}" in source
    assert "skip_autoescape" not in source


def test_the_flow_asks_as_the_settings_say(template: Template) -> None:
    template.has_resource_properties(
        "Custom::FlowDefinition",
        {
            "BaseName": NAMES.flow_definition,
            "TaskCount": DEV.review.workers_per_task,
            "TaskTimeLimitInSeconds": DEV.review.task_time_limit_seconds,
            "TaskAvailabilityLifetimeInSeconds": DEV.review.task_availability_seconds,
        },
    )
    [flow] = template.find_resources("Custom::FlowDefinition").values()
    assert resolve(template.to_json(), flow["Properties"]["S3OutputPath"]) == f"s3://{NAMES.bucket('review')}/a2i"
    assert any(name.startswith("FlowRoleDefaultPolicy") for name in flow["DependsOn"])


def test_the_flows_role_may_write_answers_and_nothing_else(template: Template) -> None:
    grants = list(statements(template, "FlowRole"))
    assert {action for actions, _, _ in grants for action in actions} == {
        "s3:PutObject", "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey",
    }  # fmt: skip
    [target] = [resource for actions, resource, _ in grants if "s3:PutObject" in actions]
    assert target.endswith('-us-east-1/a2i/*"]]}')


def test_the_flows_handler_passes_the_flows_role_to_sagemaker_only(template: Template) -> None:
    [(_, resource, condition)] = [grant for grant in statements(template, "FlowHandlerRole") if "iam:PassRole" in grant[0]]
    assert "FlowRole" in resource
    assert condition == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    for actions, resource, _ in statements(template, "FlowHandlerRole"):
        if "sagemaker:DeleteFlowDefinition" in actions:
            assert f":flow-definition/{NAMES.flow_definition}-*" in resource
        if "sagemaker:CreateHumanTaskUi" in actions:
            assert f":human-task-ui/{NAMES.flow_definition}-*" in resource


@pytest.mark.parametrize(
    ("role", "grants"),
    [
        (
            "StartReviewRole",
            {
                "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "kms:Decrypt", "kms:GenerateDataKey",
                "sagemaker:StartHumanLoop", "sagemaker:DescribeHumanLoop", "sqs:ReceiveMessage", "sqs:DeleteMessage",
                "sqs:GetQueueAttributes", "sqs:SendMessage", "ssm:GetParameter", "s3:GetObject",
            },
        ),
        (
            "CollectReviewRole",
            {
                "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query", "kms:Decrypt", "kms:GenerateDataKey", "s3:PutObject",
                "s3:GetObject", "ssm:GetParameter",
                "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage",
            },
        ),
        (
            "A2iEndedRole",
            {
                "kms:Decrypt", "kms:GenerateDataKey", "s3:GetObject", "s3:ListBucket",
                "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:SendMessage",
            },
        ),
    ],
)  # fmt: skip
def test_each_function_has_just_its_grants(template: Template, role: str, grants: set[str]) -> None:
    assert actions_of(template, role) - ALWAYS == grants


def test_a_review_may_be_started_by_both_resources_that_aws_names(template: Template) -> None:
    """Flow definition (service authorization reference) and human loop (developer guide); of the flow the generation before too."""
    named = {resource for actions, resource, _ in statements(template, "StartReviewRole") if "sagemaker:StartHumanLoop" in actions}
    text = " ".join(named)
    assert f":flow-definition/{NAMES.flow_definition}-*" in text
    assert ":human-loop/*" in text


def test_dead_letters_are_sent_to_the_requests_dead_letter_queue_only(template: Template) -> None:
    for role in ("StartReviewRole", "CollectReviewRole"):
        targets = [resource for actions, resource, _ in statements(template, role) if "sqs:SendMessage" in actions]
        assert len(targets) == 1, role
        assert "RequestsDeadLetters" in targets[0]


def test_ended_reviews_are_sent_to_the_results_queue_only(template: Template) -> None:
    [target] = [resource for actions, resource, _ in statements(template, "A2iEndedRole") if "sqs:SendMessage" in actions]
    assert "ResultsQueue" in target
    [ended] = [one for name, one in resources(template, "AWS::Lambda::Function").items() if name.startswith("A2iEnded")]
    queues = {queue["QueueName"]: name for name, queue in resources(template, "AWS::SQS::Queue").items()}
    assert ended["Environment"]["Variables"]["REVIEW_RESULTS_URL"] == {"Ref": queues[NAMES.queue("review-results")]}


def test_a_review_is_started_with_what_the_backend_gives(template: Template) -> None:
    [start] = [one for name, one in resources(template, "AWS::Lambda::Function").items() if name.startswith("StartReview")]
    [flow] = template.find_resources("Custom::FlowDefinition")
    variables = start["Environment"]["Variables"]
    assert variables["REVIEW_BACKEND"] in STARTERS
    assert variables["REVIEW_TARGET"] == {"Fn::GetAtt": [flow, "FlowDefinitionArn"]}


@pytest.mark.parametrize("name", ["review-requests", "review-results", "a2i-ended"])
def test_queues_are_encrypted_and_give_up_after_five_tries_into_a_queue_with_an_alarm(template: Template, name: str) -> None:
    queues = {queue["QueueName"]: (logical, queue) for logical, queue in resources(template, "AWS::SQS::Queue").items()}
    _, work = queues[NAMES.queue(name)]
    dead_id, dead = queues[NAMES.queue(f"{name}-dlq")]
    assert work["RedrivePolicy"] == {"deadLetterTargetArn": {"Fn::GetAtt": [dead_id, "Arn"]}, "maxReceiveCount": 5}
    assert work["VisibilityTimeout"] == 6 * 60
    assert work["MessageRetentionPeriod"] < dead["MessageRetentionPeriod"] == 14 * 86_400
    assert all("KmsMasterKeyId" in queue for queue in (work, dead))
    assert dead["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
    alarms = resources(template, "AWS::CloudWatch::Alarm").values()
    [alarm] = [one for one in alarms if one["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [dead_id, "QueueName"]}}]]
    assert (alarm["MetricName"], alarm["Threshold"], alarm["TreatMissingData"]) == ("ApproximateNumberOfMessagesVisible", 1, "notBreaching")
    assert resolve(template.to_json(), alarm["AlarmActions"]) == [arn("sns", NAMES.alert_topic)]


def test_every_queue_refuses_plain_http(template: Template) -> None:
    policies = resources(template, "AWS::SQS::QueuePolicy").values()
    refusing = [
        policy["Queues"][0]["Ref"]
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    ]
    assert sorted(refusing) == sorted(resources(template, "AWS::SQS::Queue"))


def test_only_our_own_reviews_reach_the_queue_of_ended_ones(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Events::Rule",
        {
            "EventPattern": {
                "source": ["aws.sagemaker"],
                "detail-type": ["SageMaker A2I HumanLoop Status Change"],
                "detail": {
                    "flowDefinitionArn": [
                        {
                            "prefix": {
                                "Fn::Join": [
                                    "",
                                    Match.array_with([f":flow-definition/{NAMES.flow_definition}-"]),
                                ]
                            }
                        }
                    ]
                },
            },
            "Targets": [Match.object_like({"Arn": {"Fn::GetAtt": [Match.string_like_regexp("^EndedQueue"), "Arn"]}})],
        },
    )


def test_the_rule_may_send_to_that_queue_and_its_dead_letters(template: Template) -> None:
    rule = arn("events", f"rule/{NAMES.rule('review-results')}")
    allowed = [
        policy["Queues"][0]["Ref"]
        for policy in resources(template, "AWS::SQS::QueuePolicy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement.get("Principal") == {"Service": "events.amazonaws.com"}
        and resolve(template.to_json(), statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == rule
    ]
    assert sorted(name[: len("EndedQueue")] for name in allowed) == ["EndedDeadL", "EndedQueue"]


def test_nobody_is_asked_before_the_answers_are_listened_for(template: Template) -> None:
    mappings = template.find_resources("AWS::Lambda::EventSourceMapping")
    [starting] = [mapping for name, mapping in mappings.items() if name.startswith("Requests")]
    [reading] = [name for name in mappings if name.startswith("Ended")]
    assert {next(iter(template.find_resources("AWS::Events::Rule"))), reading} <= set(starting["DependsOn"])
    assert all(mapping["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for mapping in mappings.values())


def test_the_guard_of_open_reviews_is_deleted_before_everything_else(template: Template) -> None:
    document = template.to_json()["Resources"]
    [guard] = template.find_resources("Custom::OpenReviews").values()
    own = {name for name in document if name.startswith("OpenReviews")}
    assert document.keys() - set(guard["DependsOn"]) - own == set()
    assert {name for name in own if document[name]["Type"].startswith(("AWS::IAM", "AWS::Lambda"))} <= set(guard["DependsOn"])


def test_an_alarm_rings_when_reviewers_hardly_agree(template: Template) -> None:
    [alarm] = [one for one in resources(template, "AWS::CloudWatch::Alarm").values() if one.get("MetricName") == "KrippendorffAlpha"]
    assert (alarm["AlarmName"], alarm["Threshold"], alarm["ComparisonOperator"]) == (
        NAMES.alarm("reviewers-disagree"), DEV.review.least_alpha, "LessThanThreshold"
    )  # fmt: skip
    assert alarm["Dimensions"] == [{"Name": "service", "Value": NAMES.function("collect-review")}]


def test_others_find_the_arns_in_parameters(template: Template) -> None:
    names = {parameter["Name"] for parameter in resources(template, "AWS::SSM::Parameter").values()}
    assert names == {NAMES.parameter(name) for name in ("flow-definition-arn", "workteam-arn", "human-task-ui-arn", "review-requests-url")}
    assert {"UserPoolId", "UserPoolClientId", "FlowDefinitionArn", "WorkteamArn"} <= set(template.to_json()["Outputs"])


def test_no_unanswered_finding() -> None:
    assert findings(ReviewStack, DEV) == []
