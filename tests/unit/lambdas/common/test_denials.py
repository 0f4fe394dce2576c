"""A refusal by IAM is logged with action and resource by whichever client met it, as AWS words it in each protocol."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from lambdas.common import clients
from lambdas.common.denials import Denial, log_denials

ENDPOINT = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/reviewloop-dev"
USER = "User: arn:aws:sts::123456789012:assumed-role/predict/predict is not authorized to perform: "
KEYS = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}


@pytest.mark.parametrize(
    ("code", "message", "denial"),
    [
        (
            "AccessDeniedException",
            f"{USER}sagemaker:InvokeEndpoint on resource: {ENDPOINT} because no identity-based policy allows it",
            ("sagemaker:InvokeEndpoint", ENDPOINT),
        ),
        ("AccessDenied", f'{USER}s3:GetObject on resource: "arn:aws:s3:::b/k" with an explicit deny', ("s3:GetObject", "arn:aws:s3:::b/k")),
        ("AccessDenied", f"{USER}cloudwatch:GetMetricData", ("cloudwatch:GetMetricData", "host/path")),
        ("AccessDenied", "Access Denied", ("service:Operation", "host/path")),
        ("403", "Forbidden", ("service:Operation", "host/path")),
        ("KMSAccessDeniedException", f"{USER}kms:Decrypt on resource: arn:key.", ("kms:Decrypt", "arn:key")),
        ("ExpiredTokenException", "The security token included in the request is expired", None),
        ("ValidationException", f"{USER}nothing", None),
    ],
)
def test_action_and_resource_are_read_from_the_refusal(code: str, message: str, denial: tuple[str, str] | None) -> None:
    found = Denial.of({"Code": code, "Message": message}, service="service", operation="Operation", address="host/path")
    assert found == (denial and Denial(*denial))


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    """(level, action, resource) of the lines about refusals."""
    lines = [vars(record) for record in caplog.records if record.message == "access denied"]
    return [(line["levelname"], line["action"], line["resource"]) for line in lines]


def test_a_client_logs_its_refusal_and_raises_it_as_before(caplog: pytest.LogCaptureFixture) -> None:
    runtime = boto3.client("sagemaker-runtime", **KEYS)
    log_denials(runtime)
    with Stubber(runtime) as stub:
        stub.add_client_error("invoke_endpoint", "AccessDeniedException", f"{USER}sagemaker:InvokeEndpoint on resource: {ENDPOINT}", 403)
        with pytest.raises(ClientError):
            runtime.invoke_endpoint(EndpointName="reviewloop-dev", Body=b"{}")
        stub.add_client_error("invoke_endpoint", "ModelError", "no", 424)
        with pytest.raises(ClientError):
            runtime.invoke_endpoint(EndpointName="reviewloop-dev", Body=b"{}")
    assert logged(caplog) == [("ERROR", "sagemaker:InvokeEndpoint", ENDPOINT)]


def test_every_client_of_a_function_does_so(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AWS_DEFAULT_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")):
        monkeypatch.setenv(name, value)
    table = clients.prediction_store.__wrapped__("predictions")._table.meta.client
    for client, operation, arguments in (
        (clients.client.__wrapped__("ssm"), "get_parameter", {"Name": "/release"}),
        (table, "get_item", {"TableName": "predictions", "Key": {"prediction_id": "p"}}),
    ):
        with Stubber(client) as stub:
            stub.add_client_error(operation, "AccessDeniedException", f"{USER}x:Y on resource: {operation}", 403)
            with pytest.raises(ClientError):
                getattr(client, operation)(**arguments)
    assert logged(caplog) == [("ERROR", "x:Y", "get_parameter"), ("ERROR", "x:Y", "get_item")]
