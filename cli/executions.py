"""A state machine of a stage and its executions: find, start, follow, stop, redrive.

Source: AWS Step Functions API reference. ListExecutions is eventually consistent; GetExecutionHistory keeps an execution for 90 days.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, HTTPClientError

from cli.account import Account
from cli.console import Refused, deploy_first
from cli.execution_history import ENDS

Event = Mapping[str, Any]
_SETTLED_SECONDS = 60.0
_MOST_LISTED = 1_000
_TRIES = 8


@dataclass(frozen=True)
class Execution:
    """One row of ListExecutions. ``status`` is RUNNING, SUCCEEDED, FAILED, TIMED_OUT, ABORTED or PENDING_REDRIVE."""

    arn: str
    name: str
    status: str
    started: datetime
    ended: datetime | None = None

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> Execution:
        return cls(listed["executionArn"], listed["name"], listed["status"], listed["startDate"], listed.get("stopDate"))

    @property
    def runs(self) -> bool:
        return self.status == "RUNNING"


@dataclass(frozen=True)
class Machine:
    """The state machine ``<prefix>-<part>`` of the account's stage."""

    account: Account
    part: str

    @property
    def arn(self) -> str:
        names = self.account.names
        return names.arn("states", f"stateMachine:{names.state_machine(self.part)}")

    @property
    def _states(self) -> Any:
        return self.account.client("stepfunctions")

    def require(self) -> None:
        """Raises Refused: the stack with this machine is not deployed."""
        names = self.account.names
        stack = self.account.stack(names.stack(self.part))
        if stack is None:
            raise Refused(
                f"the stack {names.stack(self.part)} is not deployed in account {self.account.id}, {self.account.settings.region}: "
                + deploy_first(self.account.settings.stage)
            )

    def listed(self, *, status: str | None = None, most: int = _MOST_LISTED) -> Iterator[Execution]:
        """The newest first."""
        wanted = {} if status is None else {"statusFilter": status}
        pages = self._states.get_paginator("list_executions").paginate(
            stateMachineArn=self.arn, PaginationConfig={"MaxItems": most}, **wanted
        )
        for page in pages:
            yield from map(Execution.of, page["executions"])

    def running(self) -> list[Execution]:
        return list(self.listed(status="RUNNING"))

    def find(self, wanted: str | None) -> Execution:
        """The execution with this name, ARN or beginning of a name; without one that which runs, else the newest.

        Raises:
            Refused: none, or more than one.
        """
        if wanted is None:
            found = [*self.running()[:1], *self.listed(most=1)]
            if not found:
                raise Refused(f"{self.account.names.state_machine(self.part)} has no execution yet: there is nothing to show")
            return found[0]
        name = wanted.rpartition(":")[2]
        executions = list(self.listed())
        exact = [one for one in executions if one.name == name]
        found = exact or [one for one in executions if one.name.startswith(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise Refused(f"ID {wanted!r} begins the names of {len(found)} executions, such as {found[0].name} and {found[1].name}")
        raise Refused(f"{self.account.names.state_machine(self.part)} has no execution {wanted!r} among its newest {_MOST_LISTED}")

    def describe(self, arn: str) -> dict[str, Any]:
        """DescribeExecution."""
        described: dict[str, Any] = self._states.describe_execution(executionArn=arn)
        return described

    def summary(self, execution: Execution) -> list[Event]:
        """The beginning and the end of an execution as events, from one call of DescribeExecution."""
        described = self.describe(execution.arn)
        details = {"input": described.get("input")}
        events: list[Event] = [
            {"id": 1, "type": "ExecutionStarted", "timestamp": described["startDate"], "executionStartedEventDetails": details}
        ]
        kind = next((event for event, (status, _) in ENDS.items() if status == described["status"]), None)
        if kind is not None:
            ended = {"id": 2, "type": kind, "timestamp": described.get("stopDate") or described["startDate"]}
            events.append({**ended, ENDS[kind][1]: {key: described.get(key) for key in ("output", "error", "cause")}})
        return events

    def start(self, content: Mapping[str, Any], name: str) -> Execution:
        """Raises Refused: an execution has this name already."""
        try:
            answer = self._states.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(content, ensure_ascii=False))
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionAlreadyExists":
                raise
            raise Refused(f"an execution {name} exists already: follow it with `watch {name}`, or try again in a second") from None
        return Execution(answer["executionArn"], name, "RUNNING", answer["startDate"])

    def stop(self, execution: Execution, cause: str) -> None:
        """The execution no longer runs, and no list says that it does."""
        try:
            self._states.stop_execution(executionArn=execution.arn, cause=cause)
        except ClientError:
            if self.describe(execution.arn)["status"] == "RUNNING":
                raise
        deadline = time.monotonic() + _SETTLED_SECONDS
        while any(one.arn == execution.arn for one in self.running()) and time.monotonic() < deadline:
            time.sleep(0.5)

    def redrive(self, execution: Execution) -> None:
        """The execution goes on from the step that failed.

        Raises:
            Refused: Step Functions says why it cannot.
        """
        try:
            self._states.redrive_execution(executionArn=execution.arn)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ExecutionNotRedrivable":
                raise
            raise Refused(f"{execution.name} cannot be redriven: {error.response['Error']['Message']}") from None

    def events(self, arn: str, *, after: int = 0) -> list[Event]:
        """The history in its order, from the event after the one with the id ``after`` on. Only what is new is read."""
        newest_first: list[Event] = []
        pages = self._states.get_paginator("get_execution_history").paginate(
            executionArn=arn, reverseOrder=True, PaginationConfig={"PageSize": 200 if after else 1_000}
        )
        for page in pages:
            for event in page["events"]:
                if event["id"] <= after:
                    return newest_first[::-1]
                newest_first.append(event)
        return newest_first[::-1]

    def news(self, arn: str, *, after: int, pause: float = 5.0) -> list[Event]:
        """:meth:`events` for whoever follows an execution for hours: a network that is away for some minutes ends nothing.

        Args:
            pause: seconds before the second try; each later one waits twice as long, at most a minute.
        """
        for attempt in range(_TRIES):
            try:
                return self.events(arn, after=after)
            except (BotoCoreError, ClientError) as error:
                if not passes(error) or attempt == _TRIES - 1:
                    raise
                time.sleep(min(60.0, pause * 2**attempt))
        raise AssertionError("the last try returns or raises")


_TOO_MANY = ("Throttl", "ThroughputExceeded", "LimitExceeded", "TooManyRequests")
"""Parts of the codes with which the services refuse too many calls. Nothing that is followed creates anything, so no quota is meant."""


def passes(error: BotoCoreError | ClientError) -> bool:
    """Whether an error is over by itself: no network, a fault of the service, or too many calls."""
    if not isinstance(error, ClientError):
        return isinstance(error, EndpointConnectionError | HTTPClientError)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or any(word in error.response["Error"]["Code"] for word in _TOO_MANY)
