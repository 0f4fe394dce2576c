"""A small public service in an embedded AWS, and an HTTP client that asks by public host name."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any

from embedded_aws.public_hosts import names
from embedded_aws.testing.web_template import template
from embedded_aws.tools import launcher
from embedded_aws.tools.clients import Clients


@dataclass(frozen=True)
class Reply:
    """An answer; ``headers`` has each name in lower case with all its values."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str:
        return ", ".join(self.headers.get(name, []))


@dataclass(frozen=True)
class Site:
    """One deployed stack of :mod:`embedded_aws.testing.web_template`; ``outputs`` are the stack's."""

    emulator: launcher.Emulator
    stack: str
    outputs: dict[str, str]

    def address(self, host: str) -> str:
        return names.address(host, self.emulator.port)

    def ask(self, host: str, path: str = "/", *, method: str = "GET", body: bytes | None = None, **headers: str) -> Reply:
        """One request to the public ``host``; header names are written with ``_`` for ``-``."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.emulator.port, timeout=60)
        try:
            connection.request(method, path, body, {"Host": f"{host}{names.SUFFIX}:{self.emulator.port}", **sent})
            response = connection.getresponse()
            found: dict[str, list[str]] = {}
            for name, value in response.getheaders():
                found.setdefault(name.lower(), []).append(value)
            return Reply(response.status, found, response.read())
        finally:
            connection.close()


def deploy(emulator: launcher.Emulator, stack: str, **more: Any) -> Site:
    """Deploy the template through CloudFormation and put its start page into the bucket."""
    clients = Clients(emulator.url, emulator.region)
    cloudformation = clients("cloudformation")
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template(stack)), Capabilities=["CAPABILITY_IAM"], **more)
    deadline = time.monotonic() + 60
    while (found := cloudformation.describe_stacks(StackName=stack)["Stacks"][0])["StackStatus"].endswith("_IN_PROGRESS"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    failed = [e for e in cloudformation.describe_stack_events(StackName=stack)["StackEvents"] if e["ResourceStatus"].endswith("_FAILED")]
    assert found["StackStatus"] == "CREATE_COMPLETE", [(e["LogicalResourceId"], e.get("ResourceStatusReason")) for e in failed]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
    clients("s3").put_object(Bucket=outputs["Bucket"], Key="index.html", Body=b"<!doctype html><p>start page", ContentType="text/html")
    return Site(emulator, stack, outputs)
