"""Human review workflows: Initializing -> Active or Failed, never updated, deleted once no worker holds a task.

Source: SageMaker API reference, CreateFlowDefinition; developer guide, "Delete a Human Review Workflow". The role is
tried by really writing an object under it (and with the KMS key), so a missing grant shows as Failed with its reason.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from botocore.exceptions import ClientError

from embedded_aws.core import background, clock, sessions
from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.listing import page
from embedded_aws.sagemaker.people.human_task_ui import template_of
from embedded_aws.sagemaker.people.workteams import need_workteam_arn
from embedded_aws.sagemaker.service_output import OutputRefused, RoleOutput, split_s3_uri

FLOW_DEFINITIONS = Records("flow-definition")
INITIALIZING_SECONDS = 10
"""Declared time from Initializing to Active."""
on_delete: list[Callable[[str], None]] = []
"""Called with the ARN of a workflow that is Deleting; returns when nothing of the workflow is left (its human loops end)."""


def need_flow_definition(name: str) -> Request:
    """Raises ApiError (ResourceNotFound)."""
    record = FLOW_DEFINITIONS.find(name)
    if record is None:
        raise ApiError("ResourceNotFound", f'Could not find flow definition "{FLOW_DEFINITIONS.arn(name)}".')
    return record


def find_by_arn(arn: str) -> Request | None:
    record = FLOW_DEFINITIONS.find(arn.rsplit("/", 1)[-1])
    return record if record is not None and record["FlowDefinitionArn"] == arn else None


def output_of(flow: Request) -> RoleOutput:
    """S3 access as the flow's role. Raises ApiError when the role is gone or does not trust SageMaker."""
    return RoleOutput(flow["RoleArn"], flow["OutputConfig"].get("KmsKeyId"))


@operation("sagemaker", "CreateFlowDefinition")
def create_flow_definition(request: Request) -> Response:
    name = request["FlowDefinitionName"]
    if "HumanLoopRequestSource" in request:
        raise validation_error("HumanLoopRequestSource (Rekognition, Textract) is not part of the embedded AWS: use a custom task.")
    if "HumanLoopActivationConfig" in request:
        raise validation_error("HumanLoopActivationConfig is not allowed for custom tasks: every StartHumanLoop creates a review.")
    if "HumanLoopConfig" not in request:
        raise validation_error("HumanLoopConfig is required.")
    loop_config = request["HumanLoopConfig"]
    split_s3_uri(request["OutputConfig"]["S3OutputPath"])
    need_workteam_arn(loop_config["WorkteamArn"])
    template_of(loop_config["HumanTaskUiArn"])
    record = {
        "FlowDefinitionArn": FLOW_DEFINITIONS.arn(name),
        "FlowDefinitionName": name,
        "FlowDefinitionStatus": "Initializing",
        "CreationTime": dt.datetime.now(dt.UTC),
        "HumanLoopConfig": {"TaskTimeLimitInSeconds": 3600, **loop_config},
        "OutputConfig": request["OutputConfig"],
        "RoleArn": request["RoleArn"],
    }
    output = output_of(record)
    with FLOW_DEFINITIONS.lock:
        if FLOW_DEFINITIONS.find(name) is not None:
            raise ApiError("ResourceInUse", f'Cannot create already existing flow definition "{FLOW_DEFINITIONS.arn(name)}".')
        FLOW_DEFINITIONS.add(name, record)
    background.start(lambda: _initialize(record, output), f"flow-definition-{name}")
    return {"FlowDefinitionArn": record["FlowDefinitionArn"]}


def _initialize(record: Request, output: RoleOutput) -> None:
    clock.sleep(INITIALIZING_SECONDS)
    uri = f"{record['OutputConfig']['S3OutputPath'].rstrip('/')}/{record['FlowDefinitionName']}/.write-access"
    try:
        output.write(uri, "")
    except OutputRefused as refused:
        record["FailureReason"] = str(refused)[:1024]
        record["FlowDefinitionStatus"] = "Failed"
        return
    _remove_probe(uri)
    if record["FlowDefinitionStatus"] == "Initializing":
        record["FlowDefinitionStatus"] = "Active"


def _remove_probe(uri: str) -> None:
    """Delete the probe with the service's own rights, so the flow's role needs no s3:DeleteObject."""
    bucket, key = split_s3_uri(uri)
    try:
        sessions.root_session().client("s3").delete_object(Bucket=bucket, Key=key)
    except ClientError:
        background.log.warning("the probe object %s stays: it could not be deleted", uri)


@operation("sagemaker", "DescribeFlowDefinition")
def describe_flow_definition(request: Request) -> Response:
    return need_flow_definition(request["FlowDefinitionName"])


@operation("sagemaker", "ListFlowDefinitions")
def list_flow_definitions(request: Request) -> Response:
    keys = ("FlowDefinitionName", "FlowDefinitionArn", "FlowDefinitionStatus", "CreationTime", "FailureReason")
    rows = [{key: record[key] for key in keys if key in record} for _, record in FLOW_DEFINITIONS.items()]
    return page(rows, request, "FlowDefinitionSummaries", name="FlowDefinitionName", sort_order="Descending")


@operation("sagemaker", "DeleteFlowDefinition")
def delete_flow_definition(request: Request) -> Response:
    record = need_flow_definition(request["FlowDefinitionName"])
    record["FlowDefinitionStatus"] = "Deleting"
    background.start(lambda: _delete(record), f"delete-{record['FlowDefinitionName']}")
    return {}


def _delete(record: Request) -> None:
    for listener in on_delete:
        listener(record["FlowDefinitionArn"])
    if FLOW_DEFINITIONS.find(record["FlowDefinitionName"]) is record:
        FLOW_DEFINITIONS.remove(record["FlowDefinitionName"])
