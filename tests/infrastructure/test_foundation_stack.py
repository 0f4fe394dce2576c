"""The foundation stack: encrypted, retained, and its mutable parameters are not CloudFormation's to overwrite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from apps import template_of
from aws_cdk.assertions import Template
from deployed_definition import stage_names

from stacks.foundation import FoundationStack
from stacks.settings import load_settings
from stacks.settings.review import PromiseSettings

NAMES = stage_names("dev")
SETTINGS = Path(__file__).resolve().parents[2] / "settings"
DEV = load_settings(SETTINGS / "dev.yaml")


@pytest.fixture(scope="module")
def template() -> Template:
    return template_of(FoundationStack, DEV)


@pytest.mark.parametrize(
    ("kind", "deletion"),
    [("AWS::S3::Bucket", "RetainExceptOnCreate"), ("AWS::KMS::Key", "RetainExceptOnCreate"), ("AWS::DynamoDB::Table", "Retain")],
)
def test_every_stateful_resource_is_retained(template: Template, kind: str, deletion: str) -> None:
    """A failed first deploy takes its buckets and key with it, or their names would block the next one."""
    resources = template.find_resources(kind)
    assert resources
    for name, resource in resources.items():
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == (deletion, "Retain"), name


def test_the_table_which_cannot_be_removed_is_made_last(template: Template) -> None:
    everything = template.to_json()["Resources"]
    waiting, seen = list(template.find_resources("AWS::DynamoDB::Table")), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [other for other in everything if f'"{other}"' in json.dumps(everything[name])]
    (stream,) = template.find_resources("AWS::SSM::Parameter", {"Properties": {"Name": NAMES.parameter("predictions-stream-arn")}})
    assert seen == set(everything) - {stream}, "only the parameter with the stream's own name must come after it"


def test_buckets_are_private_and_encrypted_with_the_one_key_but_for_access_logs(template: Template) -> None:
    for name, bucket in template.find_resources("AWS::S3::Bucket").items():
        properties = bucket["Properties"]
        assert all(properties["PublicAccessBlockConfiguration"].values()), name
        rule = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]
        assert rule["SSEAlgorithm"] == ("AES256" if name.startswith("AccessLogs") else "aws:kms"), name


def _service_grants(policy: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Service -> condition of the statement that allows it."""
    allowed = [one for one in policy["Statement"] if one["Effect"] == "Allow" and "Service" in one["Principal"]]
    return {one["Principal"]["Service"]: one.get("Condition", {}) for one in allowed}


@pytest.mark.parametrize(("kind", "policy"), [("AWS::KMS::Key", "KeyPolicy"), ("AWS::SNS::TopicPolicy", "PolicyDocument")])
def test_alarms_and_rules_reach_the_encrypted_topic(template: Template, kind: str, policy: str) -> None:
    """AWS supports no source condition for EventBridge, neither in the topic's policy nor in its key's: events would be lost."""
    [resource] = template.find_resources(kind).values()
    grants = _service_grants(resource["Properties"][policy])
    grants.pop("logs.us-east-1.amazonaws.com", None)
    assert grants == {
        "cloudwatch.amazonaws.com": {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}},
        "events.amazonaws.com": {},
    }


def test_table_expires_predictions_and_can_be_restored(template: Template) -> None:
    template.has_resource_properties(
        "AWS::DynamoDB::Table",
        {
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "DeletionProtectionEnabled": True,
            "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS"},
        },
    )


def test_what_the_running_system_writes_is_seeded_not_owned(template: Template) -> None:
    owned = [p["Properties"]["Name"] for p in template.find_resources("AWS::SSM::Parameter").values()]
    assert sorted(owned) == [NAMES.parameter(name) for name in ("base-model", "key-arn", "predictions-stream-arn")]
    seeded = {r["Properties"]["Name"]: r["Properties"]["Value"] for r in template.find_resources("Custom::SeedParameter").values()}
    assert seeded == {
        NAMES.parameter("release"): "none,none",
        NAMES.parameter("dataset"): "none",
        NAMES.parameter("experiment"): "none",
        NAMES.parameter("rollout-control"): "none",
    }


@pytest.mark.parametrize(
    ("name", "setting"), [("promise-bets", {"promise": PromiseSettings(max_error=0.1)}), ("review-budget", {"daily_budget": 10})]
)
def test_a_record_that_a_setting_needs_is_seeded_with_it(name: str, setting: dict[str, Any]) -> None:
    template = template_of(FoundationStack, DEV.model_copy(update={"review": DEV.review.model_copy(update=setting)}))
    parameter = NAMES.parameter(name)
    template.has_resource_properties("Custom::SeedParameter", {"Name": parameter, "Type": "String", "Value": "none"})
    (granted,) = [
        statement["Resource"]
        for policy in template.find_resources("AWS::IAM::Policy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Action"] == "ssm:PutParameter"
    ]
    assert len(granted) == 5
    assert f"parameter{parameter}" in json.dumps(granted)


def test_taking_it_down_deletes_every_parameter_that_no_stack_owns() -> None:
    review = DEV.review.model_copy(update={"promise": PromiseSettings(max_error=0.1), "daily_budget": 10})
    template = template_of(FoundationStack, DEV.model_copy(update={"review": review}))
    seeded = {r["Properties"]["Name"].rsplit("/", 1)[-1] for r in template.find_resources("Custom::SeedParameter").values()}
    page = (SETTINGS.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    [loop] = [line for line in page.splitlines() if line.startswith("for name in release ")]
    assert seeded <= set(loop.removesuffix("; do").split()), loop


def test_pairs_expire_as_predictions_do_and_are_read_in_order(template: Template) -> None:
    template.has_resource_properties(
        "AWS::DynamoDB::Table",
        {
            "TableName": NAMES.pairs_table,
            "KeySchema": [{"AttributeName": "experiment", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
            "DeletionProtectionEnabled": True,
        },
    )


def test_seeding_function_may_write_those_parameters_only(template: Template) -> None:
    statements = [s for p in template.find_resources("AWS::IAM::Policy").values() for s in p["Properties"]["PolicyDocument"]["Statement"]]
    grants = [s["Resource"] for s in statements if s["Action"] == "ssm:PutParameter"]
    arns = [arn["Fn::Join"][1][-1] for arn in grants[0]]
    assert len(grants) == 1
    names = ("dataset", "experiment", "release", "rollout-control")
    assert sorted(arn.split(":", 1)[1] for arn in arns) == [f"parameter{NAMES.parameter(name)}" for name in names]
