"""Ground Truth labelling jobs: create, describe, stop, list. The work itself is in ``labeling_run``.

Source: SageMaker API reference, CreateLabelingJob; developer guide, "Custom labeling workflows". Only jobs over an S3
manifest with own pre-annotation and consolidation functions run here: AWS's built-in functions live in AWS's accounts.
"""

from __future__ import annotations

import datetime as dt
import hashlib

from embedded_aws.core import background
from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.listing import page
from embedded_aws.sagemaker.people import labeling_run
from embedded_aws.sagemaker.people.human_task_ui import template_of
from embedded_aws.sagemaker.people.workteams import need_workteam_arn
from embedded_aws.sagemaker.service_output import RoleOutput, split_s3_uri

LABELING_JOBS = Records("labeling-job")
FINAL = ("Completed", "Failed", "Stopped")
MAX_TIME_LIMIT_SECONDS = 28_800
"""TaskTimeLimitInSeconds of text tasks."""
_KEPT = (
    "LabelingJobName", "LabelAttributeName", "InputConfig", "OutputConfig", "RoleArn", "LabelCategoryConfigS3Uri", "StoppingConditions",
    "HumanTaskConfig", "Tags",
)  # fmt: skip


def need_job(name: str) -> Request:
    """Raises ApiError (ResourceNotFound)."""
    job = LABELING_JOBS.find(name)
    if job is None:
        raise ApiError("ResourceNotFound", f'Could not find labeling job "{LABELING_JOBS.arn(name)}".')
    return job


def _check(request: Request) -> None:
    attribute = request["LabelAttributeName"]
    if attribute.endswith(("-metadata", "-ref")):
        raise validation_error(f"LabelAttributeName {attribute} must not end with -metadata, nor with -ref for a text job.")
    if "S3DataSource" not in request["InputConfig"]["DataSource"]:
        raise validation_error("Streaming labeling jobs (SnsDataSource) are not part of the embedded AWS: use S3DataSource.")
    if "LabelingJobAlgorithmsConfig" in request:
        raise validation_error("Automated data labeling (LabelingJobAlgorithmsConfig) is not part of the embedded AWS.")
    for uri in (request["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"], request["OutputConfig"]["S3OutputPath"]):
        split_s3_uri(uri)
    _check_task(request["HumanTaskConfig"])


def _check_task(task: Request) -> None:
    need_workteam_arn(task["WorkteamArn"])
    if task["TaskTimeLimitInSeconds"] > MAX_TIME_LIMIT_SECONDS:
        raise validation_error(f"TaskTimeLimitInSeconds is {task['TaskTimeLimitInSeconds']}; at most {MAX_TIME_LIMIT_SECONDS} for text.")
    ui = task["UiConfig"]
    if ("UiTemplateS3Uri" in ui) == ("HumanTaskUiArn" in ui):
        raise validation_error("UiConfig needs exactly one of UiTemplateS3Uri and HumanTaskUiArn.")
    if "HumanTaskUiArn" in ui:
        template_of(ui["HumanTaskUiArn"])
    for owner, key in (
        (task, "PreHumanTaskLambdaArn"),
        (task.get("AnnotationConsolidationConfig", {}), "AnnotationConsolidationLambdaArn"),
    ):
        if key not in owner:
            raise validation_error(f"{key} is required in the embedded AWS: it runs custom labeling workflows only.")


@operation("sagemaker", "CreateLabelingJob")
def create_labeling_job(request: Request) -> Response:
    name = request["LabelingJobName"]
    _check(request)
    output = RoleOutput(request["RoleArn"], request["OutputConfig"].get("KmsKeyId"))
    now = dt.datetime.now(dt.UTC)
    job = {
        **{key: request[key] for key in _KEPT if key in request},
        "LabelingJobArn": LABELING_JOBS.arn(name),
        "LabelingJobStatus": "Initializing",
        "LabelCounters": labeling_run.counters(0, labeled=0, failed=0),
        "JobReferenceCode": hashlib.sha256(LABELING_JOBS.arn(name).encode()).hexdigest()[:16],
        "CreationTime": now,
        "LastModifiedTime": now,
    }
    with LABELING_JOBS.lock:
        if LABELING_JOBS.find(name) is not None:
            raise ApiError("ResourceInUse", f'Cannot create already existing labeling job "{LABELING_JOBS.arn(name)}".')
        LABELING_JOBS.add(name, job)
    background.start(labeling_run.LabelingRun(job, output).run, f"labeling-job-{name}")
    return {"LabelingJobArn": job["LabelingJobArn"]}


@operation("sagemaker", "DescribeLabelingJob")
def describe_labeling_job(request: Request) -> Response:
    return need_job(request["LabelingJobName"])


@operation("sagemaker", "StopLabelingJob")
def stop_labeling_job(request: Request) -> Response:
    """Tasks that nobody holds are withdrawn; what is labelled by then is written."""
    job = need_job(request["LabelingJobName"])
    if job["LabelingJobStatus"] in FINAL:
        raise validation_error(f"The labeling job {job['LabelingJobName']} is {job['LabelingJobStatus']} and cannot be stopped.")
    job["LabelingJobStatus"] = "Stopping"
    job["LastModifiedTime"] = dt.datetime.now(dt.UTC)
    return {}


@operation("sagemaker", "ListLabelingJobs")
def list_labeling_jobs(request: Request) -> Response:
    rows = [_summary(job) for _, job in LABELING_JOBS.items()]
    return page(rows, request, "LabelingJobSummaryList", name="LabelingJobName", status="LabelingJobStatus")


def _summary(job: Request) -> Response:
    keys = (
        "LabelingJobName", "LabelingJobArn", "CreationTime", "LastModifiedTime", "LabelingJobStatus", "LabelCounters", "FailureReason",
        "LabelingJobOutput", "InputConfig",
    )  # fmt: skip
    task = job["HumanTaskConfig"]
    return {
        **{key: job[key] for key in keys if key in job},
        "WorkteamArn": task["WorkteamArn"],
        "PreHumanTaskLambdaArn": task["PreHumanTaskLambdaArn"],
        "AnnotationConsolidationLambdaArn": task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"],
    }
