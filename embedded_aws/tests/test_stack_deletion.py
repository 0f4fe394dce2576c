"""A resource that cannot be deleted keeps what it depends on; a second DeleteStack goes on."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from embedded_aws.testing.fixtures import ClientFactory

REFUSES = """
import json, urllib.request

def handler(event, _):
    status = "FAILED" if event["RequestType"] == "Delete" else "SUCCESS"
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": status, "Reason": "somebody needs it", "PhysicalResourceId": "refuses"}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT"))
"""
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


def test_what_a_refusing_resource_depends_on_stays(aws: ClientFactory, wait_until: Callable[..., Any]) -> None:
    cloudformation, s3, name = aws("cloudformation"), aws("s3"), f"refusing-{uuid.uuid4().hex[:8]}"
    function = {
        "Runtime": "python3.12",
        "Handler": "index.handler",
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Code": {"ZipFile": REFUSES},
    }
    resources = {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{name}-kept"}},
        "Elsewhere": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{name}-elsewhere"}},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
        "Refuses": {
            "Type": "Custom::Refusal",
            "DependsOn": "Bucket",
            "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}},
        },
    }
    template = json.dumps({"Resources": resources})
    stack = cloudformation.create_stack(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_IAM"])["StackId"]

    def ended() -> str | None:
        status: str = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else status

    def buckets() -> set[str]:
        return {one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"].startswith(name)}

    assert wait_until(ended) == "CREATE_COMPLETE"
    for times in (1, 2):
        cloudformation.delete_stack(StackName=name)
        assert wait_until(ended) == "DELETE_FAILED"
        left = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        assert {one["LogicalResourceId"]: one["ResourceStatus"] for one in left} == {
            "Bucket": "CREATE_COMPLETE", "Role": "CREATE_COMPLETE", "Function": "CREATE_COMPLETE", "Refuses": "DELETE_FAILED"
        }  # fmt: skip
        assert buckets() == {f"{name}-kept"}
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        failed = [event for event in events if (event["LogicalResourceId"], event["ResourceStatus"]) == ("Refuses", "DELETE_FAILED")]
        assert (len(failed), "somebody needs it" in failed[0]["ResourceStatusReason"]) == (times, True)
    cloudformation.delete_stack(StackName=name, RetainResources=["Refuses"])
    assert wait_until(ended) == "DELETE_COMPLETE"
    assert buckets() == set()
