"""The seed of a parameter that the running system owns."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.stub import Stubber

from lambdas.custom_resources.seed_parameter.handler import seed

PROPERTIES = {"Name": "/reviewloop/dev/release", "Type": "StringList", "Value": "none,none", "Description": "d"}


def request(kind: str) -> dict[str, Any]:
    return {"RequestType": kind, "ResourceProperties": PROPERTIES, "LogicalResourceId": "Seed"}


def client() -> tuple[Any, Stubber]:
    ssm = boto3.client("ssm", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    return ssm, Stubber(ssm)


def test_create_puts_without_overwriting() -> None:
    ssm, stub = client()
    stub.add_response("put_parameter", {"Version": 1}, {**PROPERTIES, "Overwrite": False})
    with stub:
        assert seed(request("Create"), ssm).physical_id == PROPERTIES["Name"]
    stub.assert_no_pending_responses()


def test_a_parameter_that_exists_keeps_its_value() -> None:
    ssm, stub = client()
    stub.add_client_error("put_parameter", "ParameterAlreadyExists")
    with stub:
        assert seed(request("Create"), ssm).physical_id == PROPERTIES["Name"]


def test_update_and_delete_write_nothing() -> None:
    ssm, stub = client()
    with stub:  # any call would fail: no response is queued
        assert seed(request("Update"), ssm).physical_id == PROPERTIES["Name"]
        assert seed(request("Delete"), ssm).physical_id == PROPERTIES["Name"]
