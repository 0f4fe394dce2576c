"""The code of a deploy is laid beside that of earlier ones."""

from __future__ import annotations

import io
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from lambdas.custom_resources.publish_code.handler import publish

PROPERTIES = {"Source": "s3://cdk-assets/0a1b.gz", "Target": "s3://models/code/0a1b.gz"}


def request(kind: str) -> dict[str, Any]:
    return {"RequestType": kind, "ResourceProperties": PROPERTIES, "LogicalResourceId": "Published"}


def client() -> tuple[Any, Stubber]:
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return s3, Stubber(s3)


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_archive_is_copied_as_it_is(kind: str) -> None:
    s3, stub = client()
    stub.add_response("get_object", {"Body": StreamingBody(io.BytesIO(b"\x1f\x8b"), 2)}, {"Bucket": "cdk-assets", "Key": "0a1b.gz"})
    stub.add_response("put_object", {}, {"Bucket": "models", "Key": "code/0a1b.gz", "Body": b"\x1f\x8b", "ContentType": "application/gzip"})
    with stub:
        assert publish(request(kind), s3).physical_id == "s3://models/code"
    stub.assert_no_pending_responses()


def test_nothing_is_removed_when_the_code_changes_or_the_stack_goes() -> None:
    """One physical id for every version: CloudFormation never asks to delete the code of an earlier deploy."""
    s3, stub = client()
    with stub:  # any call would fail: no response is queued
        assert publish(request("Delete"), s3).physical_id == "s3://models/code"
