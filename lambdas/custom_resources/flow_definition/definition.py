"""The lifecycle of a flow definition and its worker page: CloudFormation does not know the one, and SageMaker can update neither.

The name carries a hash of the content. A change therefore makes a new flow first; CloudFormation then deletes the old
one by its physical id (the name) once nothing refers to it any more. A flow with human loops in progress is left alone:
deleting it would stop the loops that nobody has opened yet, and their predictions would lose their reviewers.

Pages are named by their content too and stay, since such loops show them and they cost nothing: a page that is back is found.

Source: SageMaker API reference, CreateFlowDefinition, DescribeFlowDefinition, DeleteFlowDefinition, CreateHumanTaskUi; A2I runtime
API reference, ListHumanLoops.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.observability import logger
from lambdas.custom_resources.response import ResourceResult

_HASH_DIGITS = 12
_INTEGERS = ("TaskCount", "TaskTimeLimitInSeconds", "TaskAvailabilityLifetimeInSeconds")
_ROLE_TRIES = 30
"""A role made moments ago cannot be assumed everywhere yet."""


class FlowDefinitionFailed(RuntimeError):
    """The flow definition did not become Active; the text has SageMaker's reason."""


@dataclass(frozen=True)
class FlowDefinitions:
    """Creates, awaits and deletes flow definitions.

    Args:
        sagemaker, runtime: boto3 clients ``sagemaker`` and ``sagemaker-a2i-runtime``.
        pause: waits between two looks at a status, ``interval`` seconds.
        looks: how often a status is looked at before giving up. A flow that failed before is awaited three times (its state, its end,
            its successor): that and the tries of the role must be well below the function's timeout, so that CloudFormation always
            gets an answer.
    """

    sagemaker: Any
    runtime: Any
    pause: Callable[[float], None]
    interval: float = 1.0
    looks: int = 200

    def handle(self, event: Mapping[str, Any]) -> ResourceResult:
        """Act on one CloudFormation request.

        Raises:
            FlowDefinitionFailed: with SageMaker's reason.
            botocore.exceptions.ClientError: SageMaker refused the call.
        """
        properties = event["ResourceProperties"]
        if event["RequestType"] == "Delete":
            return self._delete(event["PhysicalResourceId"], properties["BaseName"])
        page_arn = self._page(properties["BaseName"], properties["UiTemplate"])
        return self._create(creation_request(properties, page_arn))

    @property
    def longest_wait(self) -> float:
        """Seconds that a request may wait in all."""
        return (3 * self.looks + _ROLE_TRIES) * self.interval

    def _page(self, base_name: str, content: str) -> str:
        """ARN of the worker page with this content, made unless it is there."""
        name = f"{base_name}-{_digest(content)}"
        try:
            return str(self.sagemaker.create_human_task_ui(HumanTaskUiName=name, UiTemplate={"Content": content})["HumanTaskUiArn"])
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceInUse":
                raise
        return str(self.sagemaker.describe_human_task_ui(HumanTaskUiName=name)["HumanTaskUiArn"])

    def _create(self, request: Mapping[str, Any]) -> ResourceResult:
        name = request["FlowDefinitionName"]
        found = self._settled(name)
        if found is not None and found["FlowDefinitionStatus"] == "Failed":
            self.sagemaker.delete_flow_definition(FlowDefinitionName=name)
            self._await_gone(name)
            found = None
        if found is None:
            self._create_when_role_is_ready(request)
            found = self._settled(name)
        if found is None or found["FlowDefinitionStatus"] != "Active":
            reason = "it vanished" if found is None else found.get("FailureReason") or f"it is {found['FlowDefinitionStatus']}"
            self._discard(name)
            raise FlowDefinitionFailed(f"flow definition {name} did not become Active: {reason}")
        page = request["HumanLoopConfig"]["HumanTaskUiArn"]
        arns = {"FlowDefinitionArn": found["FlowDefinitionArn"], "HumanTaskUiArn": page}
        return ResourceResult(name, {"FlowDefinitionName": name, **arns})

    def _create_when_role_is_ready(self, request: Mapping[str, Any]) -> None:
        for left in reversed(range(_ROLE_TRIES)):
            try:
                self.sagemaker.create_flow_definition(**request)
                return
            except ClientError as error:
                problem = error.response["Error"]
                if problem["Code"] == "ResourceInUse":
                    return  # a retry of this very request: the name is a hash of its content
                if not left or problem["Code"] != "ValidationException" or request["RoleArn"] not in problem["Message"]:
                    raise
            self.pause(self.interval)

    def _settled(self, name: str) -> Mapping[str, Any] | None:
        """The description once it is Active or Failed; None when there is none (any more)."""
        for _ in range(self.looks):
            found = self._describe(name)
            if found is None or found["FlowDefinitionStatus"] in ("Active", "Failed"):
                return found
            self.pause(self.interval)
        self._discard(name)
        raise FlowDefinitionFailed(f"flow definition {name} was still not Active after {self.looks * self.interval:.0f} seconds")

    def _await_gone(self, name: str) -> None:
        for _ in range(self.looks):
            if self._describe(name) is None:
                return
            self.pause(self.interval)
        raise FlowDefinitionFailed(f"flow definition {name} was still there {self.looks * self.interval:.0f} seconds after its deletion")

    def _delete(self, physical_id: str, base_name: str) -> ResourceResult:
        result = ResourceResult(physical_id)
        if not physical_id.startswith(f"{base_name}-"):
            return result  # the id of a creation that never happened
        found = self._describe(physical_id)
        if found is None:
            return result
        open_loops = self._loops_in_progress(found["FlowDefinitionArn"])
        if open_loops:
            logger.warning(
                "flow definition kept: people are still being asked", extra={"flow_definition": physical_id, "human_loops": open_loops}
            )
            return result
        try:
            self.sagemaker.delete_flow_definition(FlowDefinitionName=physical_id)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFound":
                raise
        return result

    def _loops_in_progress(self, arn: str) -> int:
        count, page = 0, self.runtime.list_human_loops(FlowDefinitionArn=arn, MaxResults=100)
        while True:
            count += sum(loop["HumanLoopStatus"] in ("InProgress", "Stopping") for loop in page["HumanLoopSummaries"])
            if not page.get("NextToken"):
                return count
            page = self.runtime.list_human_loops(FlowDefinitionArn=arn, MaxResults=100, NextToken=page["NextToken"])

    def _describe(self, name: str) -> Mapping[str, Any] | None:
        try:
            described: dict[str, Any] = self.sagemaker.describe_flow_definition(FlowDefinitionName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFound":
                return None
            raise
        return described

    def _discard(self, name: str) -> None:
        """Leave no half-made flow behind: CloudFormation does not know its name and would never delete it."""
        try:
            self.sagemaker.delete_flow_definition(FlowDefinitionName=name)
        except ClientError:
            logger.exception("a flow definition that failed could not be deleted", extra={"flow_definition": name})


def creation_request(properties: Mapping[str, Any], human_task_ui_arn: str) -> dict[str, Any]:
    """The CreateFlowDefinition request for a resource's properties (CloudFormation hands every value over as text)."""
    human_loop = {
        key: int(value) if key in _INTEGERS else value
        for key, value in properties.items()
        if key in ("WorkteamArn", "TaskTitle", "TaskDescription", "TaskKeywords", *_INTEGERS)
    }
    content = {
        "RoleArn": properties["RoleArn"],
        "HumanLoopConfig": {**human_loop, "HumanTaskUiArn": human_task_ui_arn},
        "OutputConfig": {"S3OutputPath": properties["S3OutputPath"], "KmsKeyId": properties["KmsKeyId"]},
    }
    return {"FlowDefinitionName": f"{properties['BaseName']}-{_digest(json.dumps(content, sort_keys=True, allow_nan=False))}", **content}


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:_HASH_DIGITS]
