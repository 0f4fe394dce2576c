"""Worker task templates as resources: HumanTaskUi, and RenderUiTemplate.

Source: SageMaker API reference. A template never changes: a new content needs a new name.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json

from embedded_aws.core import sessions
from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.listing import page
from embedded_aws.sagemaker.people import template_scripts
from review_page.fields import TemplateError
from review_page.templates import GrantReadAccess, check_template, render

HUMAN_TASK_UIS = Records("human-task-ui")
READ_ACCESS_SECONDS = 3_600


def need_human_task_ui(name: str) -> Request:
    """Raises ApiError (ResourceNotFound)."""
    record = HUMAN_TASK_UIS.find(name)
    if record is None:
        raise ApiError("ResourceNotFound", f'Could not find human task UI "{HUMAN_TASK_UIS.arn(name)}".')
    return record


def template_of(arn: str) -> str:
    """The Liquid source behind a HumanTaskUi ARN. Raises ApiError (ResourceNotFound)."""
    return str(need_human_task_ui(arn.rsplit("/", 1)[-1])["Content"])


def read_access(session: sessions.ServiceSession) -> GrantReadAccess:
    """``grant_read_access`` under a role: S3 URI -> pre-signed URL."""

    def grant(uri: str) -> str:
        bucket, _, key = str(uri).removeprefix("s3://").partition("/")
        client = session.client("s3")
        return str(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=READ_ACCESS_SECONDS))

    return grant


@operation("sagemaker", "CreateHumanTaskUi")
def create_human_task_ui(request: Request) -> Response:
    name, content = request["HumanTaskUiName"], request["UiTemplate"]["Content"]
    try:
        check_template(content, scripts=template_scripts.RUN)
    except TemplateError as error:
        raise validation_error(f"UiTemplate cannot be shown: {error}") from None
    with HUMAN_TASK_UIS.lock:
        if HUMAN_TASK_UIS.find(name) is not None:
            raise ApiError("ResourceInUse", f'Cannot create already existing human task UI "{HUMAN_TASK_UIS.arn(name)}".')
        arn = HUMAN_TASK_UIS.arn(name)
        HUMAN_TASK_UIS.add(
            name, {"HumanTaskUiArn": arn, "HumanTaskUiName": name, "CreationTime": dt.datetime.now(dt.UTC), "Content": content}
        )
    return {"HumanTaskUiArn": arn}


@operation("sagemaker", "DescribeHumanTaskUi")
def describe_human_task_ui(request: Request) -> Response:
    record = need_human_task_ui(request["HumanTaskUiName"])
    return {
        **{key: record[key] for key in ("HumanTaskUiArn", "HumanTaskUiName", "CreationTime")},
        "HumanTaskUiStatus": "Active",
        "UiTemplate": {
            "Url": f"{sessions.ENDPOINT_URL}/_embedded/human-task-uis/{record['HumanTaskUiName']}",
            "ContentSha256": hashlib.sha256(record["Content"].encode()).hexdigest(),
        },
    }


@operation("sagemaker", "ListHumanTaskUis")
def list_human_task_uis(request: Request) -> Response:
    keys = ("HumanTaskUiName", "HumanTaskUiArn", "CreationTime")
    rows = [{key: record[key] for key in keys} for _, record in HUMAN_TASK_UIS.items()]
    return page(rows, request, "HumanTaskUiSummaries", name="HumanTaskUiName")


@operation("sagemaker", "DeleteHumanTaskUi")
def delete_human_task_ui(request: Request) -> Response:
    need_human_task_ui(request["HumanTaskUiName"])
    HUMAN_TASK_UIS.remove(request["HumanTaskUiName"])
    return {}


@operation("sagemaker", "RenderUiTemplate")
def render_ui_template(request: Request) -> Response:
    if ("UiTemplate" in request) == ("HumanTaskUiArn" in request):
        raise validation_error("Specify exactly one of UiTemplate and HumanTaskUiArn.")
    content = request["UiTemplate"]["Content"] if "UiTemplate" in request else template_of(request["HumanTaskUiArn"])
    session = sessions.role_session(request["RoleArn"], "sagemaker.amazonaws.com")
    try:
        return {"RenderedContent": render(content, json.loads(request["Task"]["Input"]), read_access(session)), "Errors": []}
    except (ValueError, RecursionError) as error:
        code = "TemplateError" if isinstance(error, TemplateError) else "InvalidInput"
        return {"RenderedContent": "", "Errors": [{"Code": code, "Message": str(error)}]}
