"""Intrinsic functions of a template, filled in for an account."""

from __future__ import annotations

from typing import Any

import pytest

from cli.assembly import StackTemplate

PSEUDO = {"AWS::AccountId": "123456789012", "AWS::Partition": "aws", "AWS::Region": "eu-west-1", "AWS::URLSuffix": "amazonaws.com"}
DOCUMENT: dict[str, Any] = {
    "Parameters": {
        "Key": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/reviewloop/dev/key-arn"},
        "Release": {"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/reviewloop/dev/release"},
    },
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {}},
        "Named": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": {"Fn::Sub": "endpoint-${AWS::Region}"}}},
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "requests"}},
        "Function": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "predict"}},
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": {"Fn::Join": ["-", ["data", {"Ref": "AWS::AccountId"}]]}}},
    },
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "AWS::Region"}, "eu-west-1"),
        ({"Ref": "Key"}, "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"),
        ({"Fn::Select": [1, {"Ref": "Release"}]}, "none"),
        ({"Fn::GetAtt": ["Role", "Arn"]}, "arn:aws:iam::123456789012:role/Role"),
        ({"Fn::GetAtt": ["Named", "Arn"]}, "arn:aws:iam::123456789012:role/endpoint-eu-west-1"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:aws:sqs:eu-west-1:123456789012:requests"),
        ({"Fn::GetAtt": ["Function", "Arn"]}, "arn:aws:lambda:eu-west-1:123456789012:function:predict"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::data-123456789012"),
        ({"Fn::Sub": ["${Name}-${AWS::Region}-${!kept}", {"Name": "a"}]}, "a-eu-west-1-${kept}"),
        ({"Fn::If": ["Condition", "yes", "no"]}, "yes"),
        ({"a": {"Ref": "AWS::NoValue"}, "b": 1}, {"b": 1}),
        ([{"Ref": "AWS::NoValue"}, "kept"], ["kept"]),
    ],
)
def test_an_intrinsic_function_is_filled_in(value: Any, expected: Any) -> None:
    assert StackTemplate("stack", DOCUMENT, PSEUDO).resolve(value) == expected


def test_what_is_deployed_has_its_own_name_and_the_parameters_their_values() -> None:
    template = StackTemplate("stack", DOCUMENT, PSEUDO, {"Role": "stack-Role-1X"}, {"Key": "arn:aws:kms:eu-west-1:123456789012:key/real"})
    assert template.resolve({"Fn::GetAtt": ["Role", "Arn"]}) == "arn:aws:iam::123456789012:role/stack-Role-1X"
    assert template.resolve({"Ref": "Key"}) == "arn:aws:kms:eu-west-1:123456789012:key/real"
