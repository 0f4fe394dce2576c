"""After a release was applied: is the stack done, and does the endpoint really run it?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.release import Release
from lambdas.rollout.check_release.running import Verdict, of_endpoint, of_stack, settled
from lambdas.rollout.endpoint import describe, running_packages


@dataclass(frozen=True)
class Environment:
    stack_name: str
    endpoint_name: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"release": "<champion>,<challenger>"}`` -> ``{"status": "updating" | "in_place" | "rolled_back" | "failed", "reason"}``."""
    wanted = Release.parse(event["release"])
    verdict = settled(_stack_verdict(), lambda: _endpoint_verdict(wanted))
    logger.info("release checked", extra={"release": event["release"], "verdict": asdict(verdict)})
    return asdict(verdict)


def _stack_verdict() -> Verdict | None:
    cloudformation, name = client("cloudformation"), _environment().stack_name
    status = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    return of_stack(name, status, _last_operation(name) if "ROLLBACK" in status or "FAILED" in status else [])


def _last_operation(name: str) -> list[dict[str, Any]]:
    """Events since the last operation on the stack began, newest first."""
    found: list[dict[str, Any]] = []
    for page in client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=name):
        for event in page["StackEvents"]:
            found.append(event)
            if event["LogicalResourceId"] == name and event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"):
                return found
    return found


def _endpoint_verdict(wanted: Release) -> Verdict:
    sagemaker = client("sagemaker")
    endpoint = describe(sagemaker, _environment().endpoint_name)
    if endpoint is None:
        return of_endpoint(None, {}, wanted)
    return of_endpoint(endpoint, running_packages(sagemaker, endpoint), wanted)
