"""What a sender sees of the HTTP server itself, whatever the request asks for."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from embedded_aws.tools import launcher

ROOT = Credentials("test", "test")
CALLER = b"Action=GetCallerIdentity&Version=2011-06-15"
LIST_USERS = b"Action=ListUsers&Version=2010-05-08"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(
    emulator: launcher.Emulator, credentials: Credentials | None, service: str, body: bytes, more: dict[str, str] | None = None
) -> bytes:
    """The bytes of a request, signed by these credentials or not at all."""
    request = AWSRequest("POST", f"{emulator.url}/", data=body, headers=FORM)
    if credentials is not None:
        SigV4Auth(credentials, service, "us-east-1").add_auth(request)
    headers = {"Host": f"127.0.0.1:{emulator.port}", "Content-Length": str(len(body)), **dict(request.headers), **(more or {})}
    return b"POST / HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n" + body


def answers(emulator: launcher.Emulator, *parts: bytes) -> list[str]:
    """Send the parts in one go, and read until the server closes; what came back, answer by answer."""
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=30) as connection:
        connection.sendall(b"".join(parts))
        read = b""
        while more := connection.recv(65536):
            read += more
    return [f"HTTP/1.1 {answer}" for answer in read.decode().split("HTTP/1.1 ")[1:]]


def test_a_pipelined_request_is_nobodys_but_its_own(emulator: launcher.Emulator) -> None:
    roots, nobodys = signed(emulator, ROOT, "sts", CALLER), signed(emulator, None, "sts", CALLER, {"Connection": "close"})
    first, second = answers(emulator, roots, nobodys)
    assert first.startswith("HTTP/1.1 200 OK\r\n")
    assert ":root</Arn>" in first
    assert second.startswith("HTTP/1.1 403 Forbidden\r\n")
    assert "MissingAuthenticationToken" in second


def test_a_body_that_waits_for_leave_gets_it(emulator: launcher.Emulator) -> None:
    """boto3 sends what it uploads to S3 only when it is told to go on."""
    waiting = signed(emulator, ROOT, "sts", CALLER, {"Expect": "100-continue", "Connection": "close"})
    leave, answer = answers(emulator, waiting)
    assert leave == "HTTP/1.1 100 Continue\r\n\r\n"
    assert answer.startswith("HTTP/1.1 200 OK\r\n")


def test_bytes_that_are_no_request_end_in_an_answer(emulator: launcher.Emulator) -> None:
    [answer] = answers(emulator, b"\x16\x03\x01 a client that speaks TLS\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400 Bad Request\r\n")


def test_no_header_changes_where_a_request_comes_from(
    emulator: launcher.Emulator, make_role: Callable[..., str], assume: Callable[[str], dict[str, Any]]
) -> None:
    """No proxy stands before the server, so whoever sends a proxy's headers made them up."""
    afar = {"IpAddress": {"aws:SourceIp": "203.0.113.7"}}
    session = assume(make_role("far-away", [{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*", "Condition": afar}]))
    credentials = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
    headers = {"X-Forwarded-For": "203.0.113.7", "Connection": "close"}
    [answer] = answers(emulator, signed(emulator, credentials, "iam", LIST_USERS, headers))
    assert answer.startswith("HTTP/1.1 403 Forbidden\r\n")
    assert "AccessDenied" in answer
