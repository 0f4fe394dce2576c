"""What every step of the demo works with: the embedded AWS, clients, the console, and the summary."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.release.history import Rollout
from embedded_aws.tools.clients import ACCOUNT, ROOT, Clients
from embedded_aws.tools.launcher import Emulator
from local.demo.budget import FULL, Budget
from local.demo.source import Source
from local.demo.summary import Summary
from stacks.names import Names
from stacks.settings import Settings

_EXECUTE_API = re.compile(r"^([a-z0-9]+)\.execute-api\.")


class DemoFailed(RuntimeError):
    """A step did not do what it must; the text says which, why, and where to look."""


def _reason(cause: str) -> str:
    """The reason inside a cause: a job's FailureReason, a function's message, or the text itself."""
    try:
        document = json.loads(cause)
        return str(document.get("FailureReason") or document["errorMessage"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return cause[:800]


class Raters(Protocol):
    """People who answer by themselves; ``failure`` is what went wrong last."""

    failure: str

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass
class Session:
    """One run of the demo."""

    emulator: Emulator
    settings: Settings
    output: Path
    summary: Summary
    console: Console
    budget: Budget = FULL
    base_model: Path | None = None
    """Folder of another base model than the one that comes with the project."""
    source: Source = field(init=False)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    raters: Raters | None = None
    """Who answers at the hosted review page, with that backend."""
    rollout: Rollout | None = None
    """The new model's rollout, once it has ended."""

    @property
    def names(self) -> Names:
        return Names(self.settings, ACCOUNT)

    @cached_property
    def client(self) -> Clients:
        """``session.client("s3")``: boto3 clients of the embedded AWS with the account's root credentials."""
        return Clients(self.emulator.url, self.settings.region, attempts=3)

    def parameter(self, path: str) -> str:
        name = self.names.parameter(path)
        value: str = self.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
        return value

    def put_parameter(self, path: str, value: str) -> None:
        self.client("ssm").put_parameter(Name=self.names.parameter(path), Value=value, Overwrite=True)

    @cached_property
    def predict_url(self) -> str:
        """The prediction API on this machine. The embedded AWS serves every API below one path."""
        address = urlsplit(self.outputs[self.names.stack("endpoint")]["PredictUrl"])
        match = _EXECUTE_API.match(address.netloc)
        if match is None:
            return address.geturl()
        return f"{self.emulator.url}/_aws/execute-api/{match[1]}{address.path}"

    def predict(self, text: str) -> dict[str, Any]:
        """POST /predict, signed.

        Raises:
            DemoFailed: any answer but 200.
        """
        body = json.dumps({"text": text}).encode()
        request = AWSRequest("POST", self.predict_url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(ROOT, "execute-api", self.settings.region).add_auth(request)
        try:
            call = urllib.request.Request(self.predict_url, data=body, headers=dict(request.headers), method="POST")  # noqa: S310  (http on 127.0.0.1)
            with urllib.request.urlopen(call, timeout=60) as response:  # noqa: S310  (the emulator on 127.0.0.1)
                answer: dict[str, Any] = json.loads(response.read())
                return answer
        except urllib.error.HTTPError as error:
            raise DemoFailed(f"POST /predict answered {error.code}: {error.read().decode(errors='replace')[:500]}") from None

    # -- state machines ------------------------------------------------------------------------------

    def machine_arn(self, part: str) -> str:
        return self.names.arn("states", f"stateMachine:{self.names.state_machine(part)}")

    def start(self, part: str, payload: dict[str, Any]) -> str:
        arn: str = self.client("stepfunctions").start_execution(stateMachineArn=self.machine_arn(part), input=json.dumps(payload))[
            "executionArn"
        ]
        return arn

    def execution(self, arn: str) -> dict[str, Any]:
        described: dict[str, Any] = self.client("stepfunctions").describe_execution(executionArn=arn)
        return described

    def output_of(self, described: dict[str, Any]) -> dict[str, Any]:
        """The output of a finished execution.

        Raises:
            DemoFailed: it did not succeed; with its error and cause.
        """
        if described["status"] != "SUCCEEDED":
            name = described["stateMachineArn"].rsplit(":", 1)[-1]
            raise DemoFailed(f"{name} ended {described['status']}: {described.get('error', '')}: {_reason(described.get('cause', ''))}")
        output: dict[str, Any] = json.loads(described["output"])
        return output

    def run(self, part: str, payload: dict[str, Any], *, watch: Any = None, seconds: float = 600) -> dict[str, Any]:
        """Run a state machine to its end; ``watch()`` is called about twice a second meanwhile."""
        arn = self.start(part, payload)
        deadline = time.monotonic() + seconds
        while True:
            described = self.execution(arn)
            if watch is not None:
                watch()
            if described["status"] != "RUNNING":
                return described
            if time.monotonic() > deadline:
                raise DemoFailed(f"state machine {part} still runs after {seconds:.0f} s: see {self.emulator.log_file}")
            time.sleep(0.4)

    # -- console -----------------------------------------------------------------------------------------

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A titled step whose seconds go into the summary."""
        self.console.print(f"\n[bold cyan]{name}[/]")
        began = time.monotonic()
        try:
            yield
        finally:
            self.summary.seconds[name] = round(time.monotonic() - began, 1)
            self.summary.write(self.output / "summary.json")

    def say(self, text: str) -> None:
        """Print a line of the running step. A terminal gets it wrapped under the step's title, a file in one piece."""
        self.console.print(Padding(text, (0, 0, 0, 2)) if self.console.is_terminal else f"  {text}", highlight=False)

    @contextmanager
    def progress(self, description: str, total: int | None) -> Iterator[Any]:
        """A bar, with a count when the total is known; yields ``update(completed, text=None)``. Only on a terminal."""
        count = () if total is None else (MofNCompleteColumn(),)
        columns = (SpinnerColumn(), TextColumn(" {task.description}"), BarColumn(), *count, TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            task = bar.add_task(description, total=total)

            def update(completed: int, text: str | None = None) -> None:
                bar.update(task, completed=completed, description=text or description)

            yield update
