"""Who may talk to the embedded AWS at all: programs of this machine and its own pages, whatever the path."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from embedded_aws.tools import launcher

ROOT = Credentials("test", "test")
REFUSED = {
    "a foreign name, as by DNS rebinding": {"Host": "rebound.example:4566"},
    "a foreign name that looks like ours": {"Host": "127.0.0.1.rebound.example"},
    "another site": {"Origin": "https://elsewhere.example"},
    "another port of this machine": {"Origin": "http://127.0.0.1:3000"},
    "a sandboxed page of anyone": {"Origin": "null"},
    "another site, by fetch metadata": {"Sec-Fetch-Site": "cross-site"},
    "another port, by fetch metadata": {"Sec-Fetch-Site": "same-site"},
}
every_refused_sender = pytest.mark.parametrize("headers", [pytest.param(value, id=key) for key, value in REFUSED.items()])


def send(
    emulator: launcher.Emulator, method: str, path: str, *, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """(status, lower-case headers, body) of one request with exactly these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def signed(emulator: launcher.Emulator, service: str, method: str, path: str, body: bytes, **headers: str) -> dict[str, str]:
    """Headers with a valid signature of the account's root, whose key anyone knows."""
    request = AWSRequest(method, f"{emulator.url}{path}", data=body, headers=headers)
    SigV4Auth(ROOT, service, "us-east-1").add_auth(request)
    return dict(request.headers)


def lambda_creation(name: str, role: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as code:
        code.writestr("index.py", "def handler(event, context):\n    return 'ran'\n")
    code_document = {"ZipFile": base64.b64encode(archive.getvalue()).decode()}
    document = {"FunctionName": name, "Runtime": "python3.12", "Role": role, "Handler": "index.handler", "Code": code_document}
    return json.dumps(document).encode()


@pytest.fixture(scope="module")
def role(make_role: Callable[..., str]) -> str:
    return make_role("guarded-function", [], services=["lambda.amazonaws.com"])


@every_refused_sender
def test_no_function_is_made_for_a_foreign_page(emulator: launcher.Emulator, aws: Any, role: str, headers: dict[str, str]) -> None:
    path, body = "/2015-03-31/functions", lambda_creation("smuggled", role)

    status, answered, text = send(emulator, "POST", path, body=body, headers={**signed(emulator, "lambda", "POST", path, body), **headers})

    assert (status, list(json.loads(text))) == (403, ["message"])
    assert "access-control-allow-origin" not in answered
    assert "smuggled" not in [function["FunctionName"] for function in aws("lambda").list_functions()["Functions"]]


def test_the_same_request_of_a_program_is_answered(emulator: launcher.Emulator, aws: Any, role: str) -> None:
    path, body = "/2015-03-31/functions", lambda_creation("of-a-program", role)

    assert send(emulator, "POST", path, body=body, headers=signed(emulator, "lambda", "POST", path, body))[0] == 201
    assert aws("lambda").get_function(FunctionName="of-a-program")["Configuration"]["Handler"] == "index.handler"


@every_refused_sender
def test_nothing_is_stored_or_emptied_for_a_foreign_page(emulator: launcher.Emulator, aws: Any, headers: dict[str, str]) -> None:
    bucket = "guarded-bucket"
    aws("s3").create_bucket(Bucket=bucket)
    path = f"/{bucket}/smuggled"

    put = send(emulator, "PUT", path, body=b"x", headers={**signed(emulator, "s3", "PUT", path, b"x"), **headers})
    reset = send(emulator, "POST", "/_ministack/reset", headers=headers)

    assert (put[0], reset[0]) == (403, 403)
    assert "Contents" not in aws("s3").list_objects_v2(Bucket=bucket), "the bucket is there, and empty"


@every_refused_sender
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        (
            "GET",
            "/?Action=CreateStack&StackName=x&TemplateBody=%7B%7D&X-Amz-Credential=test/20260101/us-east-1/cloudformation/aws4_request",
        ),
        ("OPTIONS", "/2015-03-31/functions"),
        ("POST", "/_aws/execute-api/abc/v1/predict"),
        ("POST", "/_embedded/raters"),
        ("GET", "/_ministack/health"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/rds/iam-auth"),
        ("GET", "/worker/next"),
        ("POST", "/worker/sign-in"),
        ("POST", "/endpoints/any/invocations"),
    ],
)
def test_no_path_answers_a_foreign_page(emulator: launcher.Emulator, method: str, path: str, headers: dict[str, str]) -> None:
    status, answered, _ = send(emulator, method, path, headers=headers)

    assert status == 403
    assert "access-control-allow-origin" not in answered


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "LOCALHOST", "abc.execute-api.localhost"])
def test_every_name_of_this_machine_is_answered(emulator: launcher.Emulator, name: str) -> None:
    assert send(emulator, "GET", "/_ministack/health", headers={"Host": f"{name}:{emulator.port}"})[0] == 200


def test_a_bucket_answers_under_its_own_name(emulator: launcher.Emulator, aws: Any) -> None:
    aws("s3").create_bucket(Bucket="named-bucket")
    aws("s3").put_object(Bucket="named-bucket", Key="one", Body=b"content")
    request = AWSRequest("GET", f"http://named-bucket.s3.localhost:{emulator.port}/one")
    request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    SigV4Auth(ROOT, "s3", "us-east-1").add_auth(request)

    status, _, body = send(emulator, "GET", "/one", headers={**dict(request.headers), "Host": f"named-bucket.s3.localhost:{emulator.port}"})

    assert (status, body) == (200, b"content")


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}], ids=str)
def test_the_emulators_own_pages_are_answered(emulator: launcher.Emulator, headers: dict[str, str]) -> None:
    own = {"Origin": emulator.url, "Content-Type": "application/json", **headers}

    assert send(emulator, "POST", "/_embedded/raters", body=b'{"votes": {"guarded": ["positive"]}}', headers=own)[0] == 200


def test_a_link_elsewhere_may_lead_to_the_worker_page_and_to_nothing_else(emulator: launcher.Emulator) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

    assert send(emulator, "GET", "/worker", headers=link)[0] == 200
    assert send(emulator, "GET", "/worker", headers={**link, "Sec-Fetch-Dest": "iframe"})[0] == 403
    assert send(emulator, "GET", "/_ministack/health", headers=link)[0] == 403


def test_what_the_frame_of_a_task_loads_is_answered_and_nothing_that_only_looks_like_it(emulator: launcher.Emulator) -> None:
    frame = {"Sec-Fetch-Site": "cross-site", "Origin": "null"}
    by_root = "X-Amz-Credential=test/20260101/us-east-1/s3/aws4_request&X-Amz-Signature=0&X-Amz-Security-Token=0"

    assert send(emulator, "GET", "/worker/assets/crowd-elements.js", headers=frame)[0] == 200
    assert send(emulator, "POST", "/worker/assets/crowd-elements.js", headers=frame)[0] == 403
    by_no_session = "AWSAccessKeyId=test&Signature=0&x-amz-security-token=0"
    of_another_service = by_root.replace("test", "ASIA0").replace("/s3/", "/sqs/")
    for query in (by_root, by_no_session, of_another_service):
        refused = send(emulator, "GET", f"/bucket/key?{query}", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"})
        assert (refused[0], b"another site" in refused[2]) == (403, True)


def test_a_web_socket_of_a_foreign_page_is_refused(emulator: launcher.Emulator, aws: Any) -> None:
    gateway = aws("apigatewayv2")
    api = gateway.create_api(Name="sockets", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action")["ApiId"]
    gateway.create_stage(ApiId=api, StageName="v1")

    def handshake(**headers: str) -> int:
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, **headers}
        return send(emulator, "GET", f"/_aws/execute-api/{api}/v1", headers=upgrade)[0]

    assert handshake() == 101
    assert handshake(Origin="https://elsewhere.example") == 403
    assert handshake(Host="rebound.example") == 403
