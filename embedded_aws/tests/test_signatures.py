"""Who sends a request is proven by its signature: the account's root too, in headers, in presigned URLs and in aws-chunked pieces."""

from __future__ import annotations

import io
import re
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from embedded_aws.testing.fixtures import REGION, ClientFactory
from embedded_aws.tools import launcher

Maker = Callable[..., Any]
ROOT_SECRET = "test"
FLOW = f"arn:aws:sagemaker:{REGION}:000000000000:flow-definition/x"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "sts": ("get_caller_identity", {}),
    "iam": ("list_roles", {}),
    "sqs": ("list_queues", {}),
    "sns": ("list_topics", {}),
    "s3": ("list_buckets", {}),
    "dynamodb": ("list_tables", {}),
    "cloudformation": ("list_stacks", {}),
    "cloudwatch": ("list_metrics", {}),
    "logs": ("describe_log_groups", {}),
    "lambda": ("list_functions", {}),
    "events": ("list_rules", {}),
    "scheduler": ("list_schedules", {}),
    "stepfunctions": ("list_state_machines", {}),
    "apigateway": ("get_rest_apis", {}),
    "cognito-idp": ("list_user_pools", {"MaxResults": 1}),
    "kms": ("list_keys", {}),
    "ssm": ("describe_parameters", {}),
    "athena": ("list_work_groups", {}),
    "glue": ("get_databases", {}),
    "application-autoscaling": ("describe_scalable_targets", {"ServiceNamespace": "sagemaker"}),
    "sagemaker": ("list_models", {}),
    "sagemaker-runtime": ("invoke_endpoint", {"EndpointName": "x", "Body": b""}),
    "sagemaker-a2i-runtime": ("list_human_loops", {"FlowDefinitionArn": FLOW}),
}


@pytest.fixture(scope="module")
def client(emulator: launcher.Emulator) -> Maker:
    def make(service: str, *, key: str = "test", secret: str = ROOT_SECRET, **config: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=emulator.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
        )

    return make


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    return str(refused.value.response["Error"]["Code"])


@pytest.mark.parametrize("service", sorted(CALLS))
def test_roots_key_id_with_another_secret_is_refused(client: Maker, service: str) -> None:
    """Services of the query protocol and S3 say SignatureDoesNotMatch, those of JSON InvalidSignatureException, as on AWS."""
    name, request = CALLS[service]
    assert code(lambda: getattr(client(service, secret="wrong"), name)(**request)) in ("SignatureDoesNotMatch", "InvalidSignatureException")


@pytest.mark.parametrize("service", sorted(CALLS))
def test_an_unsigned_request_is_refused(client: Maker, service: str) -> None:
    name, request = CALLS[service]
    found = code(lambda: getattr(client(service, signature_version=UNSIGNED), name)(**request))
    assert found in ("MissingAuthenticationToken", "MissingAuthenticationTokenException", "AccessDenied")


def test_nobody_makes_a_bucket_or_reads_one_without_a_signature(client: Maker, aws: ClientFactory) -> None:
    bucket = f"signed-{uuid.uuid4().hex[:8]}"
    unsigned = client("s3", signature_version=UNSIGNED)
    assert code(lambda: unsigned.create_bucket(Bucket=bucket)) == "AccessDenied"
    aws("s3").create_bucket(Bucket=bucket)
    assert code(lambda: unsigned.put_object(Bucket=bucket, Key="k", Body=b"x")) == "AccessDenied"


def test_what_aws_serves_unsigned_stays_open(client: Maker, aws: ClientFactory) -> None:
    pool = aws("cognito-idp").create_user_pool(PoolName=f"open-{uuid.uuid4().hex[:8]}")["UserPool"]["Id"]
    app = aws("cognito-idp").create_user_pool_client(UserPoolId=pool, ClientName="c", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"])
    unsigned = client("cognito-idp", signature_version=UNSIGNED)
    request = {
        "AuthFlow": "USER_PASSWORD_AUTH",
        "ClientId": app["UserPoolClient"]["ClientId"],
        "AuthParameters": {"USERNAME": "a", "PASSWORD": "b"},
    }
    assert code(lambda: unsigned.initiate_auth(**request)) in ("UserNotFoundException", "NotAuthorizedException")


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_presigned_url_of_another_secret_opens_nothing(client: Maker, aws: ClientFactory, version: str) -> None:
    bucket = f"presigned-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=bucket)
    aws("s3").put_object(Bucket=bucket, Key="k", Body=b"content")

    def read(secret: str) -> bytes:
        url = client("s3", secret=secret, signature_version=version).generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "k"}
        )
        body: bytes = urllib.request.urlopen(url).read()  # noqa: S310  (http on 127.0.0.1)
        return body

    assert read("test") == b"content"
    with pytest.raises(urllib.error.HTTPError) as refused:
        read("wrong")
    assert refused.value.code == 403
    assert re.search(rb"<Code>SignatureDoesNotMatch</Code>", refused.value.read())


@pytest.mark.parametrize("checksums", ["when_supported", "when_required"])
def test_an_upload_in_pieces_is_checked_too(client: Maker, aws: ClientFactory, checksums: str) -> None:
    bucket = f"pieces-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=bucket)
    body = b"x" * 200_000
    client("s3", request_checksum_calculation=checksums).put_object(Bucket=bucket, Key="k", Body=io.BytesIO(body))
    assert aws("s3").get_object(Bucket=bucket, Key="k")["Body"].read() == body
    wrong = client("s3", secret="wrong", request_checksum_calculation=checksums)
    assert code(lambda: wrong.put_object(Bucket=bucket, Key="other", Body=io.BytesIO(body))) == "SignatureDoesNotMatch"
    assert code(lambda: aws("s3").get_object(Bucket=bucket, Key="other")) == "NoSuchKey"


def test_a_body_that_was_not_signed_is_refused(emulator: launcher.Emulator) -> None:
    headers = {"X-Amz-Target": "AmazonSSM.DescribeParameters", "Content-Type": "application/x-amz-json-1.1"}
    signed = AWSRequest("POST", f"{emulator.url}/", data=b"{}", headers=headers)
    SigV4Auth(Credentials("test", ROOT_SECRET), "ssm", REGION).add_auth(signed)

    def send(body: bytes) -> int:
        request = urllib.request.Request(  # noqa: S310  (http on 127.0.0.1)
            f"{emulator.url}/", data=body, headers=dict(signed.headers.items()), method="POST"
        )
        return int(urllib.request.urlopen(request).status)  # noqa: S310  (the same)

    assert send(b"{}") == 200
    with pytest.raises(urllib.error.HTTPError) as refused:
        send(b'{"MaxResults": 5}')
    assert b"InvalidSignatureException" in refused.value.read()


def test_another_accounts_root_signs_with_the_same_secret(client: Maker) -> None:
    assert client("sts", key="123456789012").get_caller_identity()["Account"] == "123456789012"
    assert code(lambda: client("sts", key="123456789012", secret="wrong").get_caller_identity()) == "SignatureDoesNotMatch"
