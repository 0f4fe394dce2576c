"""State machines with roles of their own, and states of the kinds that their tests use."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.jobs import Jobs

ClientFactory = Callable[..., Any]
REGION, ACCOUNT = "us-east-1", "000000000000"
State = dict[str, Any]
RULES = ["events:PutRule", "events:PutTargets", "events:DescribeRule"]
SLEEP = "import time\ntime.sleep(60)"
"""A program that a job runs until it is stopped."""
EVERYTHING = ["sagemaker:*", "iam:PassRole", *RULES, "lambda:InvokeFunction", "states:*"]


class Machines:
    """State machines with roles of their own; ``run`` waits for the end."""

    def __init__(self, aws: ClientFactory, make_role: Callable[..., str]) -> None:
        self.client, self._make_role = aws("stepfunctions"), make_role

    def create(self, states: dict[str, State], *, allowed: Sequence[str] = EVERYTHING, **top: Any) -> str:
        """States by name, the first one starts; a state without Next, End or a Type of its own kind of end is the last."""
        name = f"machine-{uuid.uuid4().hex[:8]}"
        statement = [{"Effect": "Allow", "Action": list(allowed), "Resource": "*"}] if allowed else []
        role = self._make_role(f"{name}-role", statement, ["states.amazonaws.com"])
        definition = {"StartAt": next(iter(states)), "States": states, **top}
        return str(self.client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)["stateMachineArn"])

    def start(self, machine: str, content: Any = None) -> str:
        return str(self.client.start_execution(stateMachineArn=machine, input=json.dumps(content or {}))["executionArn"])

    def describe(self, execution: str) -> dict[str, Any]:
        described: dict[str, Any] = self.client.describe_execution(executionArn=execution)
        return described

    def ended(self, execution: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (described := self.describe(execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{execution} still runs"
            time.sleep(0.05)
        return described

    def run(self, states: dict[str, State], content: Any = None, **more: Any) -> dict[str, Any]:
        return self.ended(self.start(self.create(states, **more), content))

    def output(self, states: dict[str, State], content: Any = None, **more: Any) -> Any:
        ended = self.run(states, content, **more)
        assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
        return json.loads(ended["output"])

    def events(self, execution: str, kind: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"] if event["type"] == kind]


def task(resource: str, parameters: dict[str, Any], **more: Any) -> State:
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **more}


def sync(operation: str, parameters: dict[str, Any], **more: Any) -> State:
    return task(f"arn:aws:states:::sagemaker:{operation}.sync", parameters, **more)


def tuning(jobs: Jobs, script: str, /, **more: Any) -> dict[str, Any]:
    """A tuning request as Step Functions takes it: without the seed, which is newer than its model."""
    request = jobs.tuning(script, **more)
    del request["HyperParameterTuningJobConfig"]["RandomSeed"]
    return request


def nested(machine: str, content: Any, suffix: str = ".sync:2", **more: Any) -> State:
    return task(f"arn:aws:states:::states:startExecution{suffix}", {"StateMachineArn": machine, "Input": content}, **more)


def started(jobs: Jobs, kind: str, name: str) -> bool:
    noun, member, status = job_setup.KINDS[kind]
    found = getattr(jobs.sagemaker, f"list_{noun}s")(NameContains=name)
    rows = next(rows for rows in found.values() if isinstance(rows, list))
    return [(row[member], row[status]) for row in rows] == [(name, "InProgress")]
