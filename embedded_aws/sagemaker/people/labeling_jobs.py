"""Ground Truth labelling jobs: create, describe, stop, list. The work itself is in ``labeling_run``.

Source: SageMaker API reference, CreateLabelingJob; developer guide, "Custom labeling workflows". Only jobs over an S3
manifest with own pre-annotation and consolidation functions run here: AWS's built-in functions live in AWS's accounts.
"""

from __future__ import annotations

import hashlib
from typing import Self

from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.jobs.job import TERMINAL, Job
from embedded_aws.sagemaker.listing import page
from embedded_aws.sagemaker.people import labeling_run, template_scripts
from embedded_aws.sagemaker.people.human_task_ui import template_of
from embedded_aws.sagemaker.people.workteams import need_workteam_arn
from embedded_aws.sagemaker.service_output import OutputRefused, RoleOutput, split_s3_uri
from review_page.fields import TemplateError
from review_page.templates import check_template

MAX_TIME_LIMIT_SECONDS = 28_800
"""TaskTimeLimitInSeconds of text tasks."""
_KEPT = (
    "LabelingJobName", "LabelAttributeName", "InputConfig", "OutputConfig", "RoleArn", "LabelCategoryConfigS3Uri", "StoppingConditions",
    "HumanTaskConfig", "Tags",
)  # fmt: skip


class LabelingJob(Job):
    """A labelling job."""

    records = Records("labeling-job")
    prefix = "LabelingJob"
    word = "labeling job"
    first_status = "Initializing"
    event = "SageMaker Ground Truth Labeling Job State Change"
    event_members = ("LabelingJobStatus",)
    event_statuses = TERMINAL

    @classmethod
    def need(cls, name: str) -> Self:
        """Raises ApiError (ResourceNotFound)."""
        if cls.records.find(name) is None:
            raise ApiError("ResourceNotFound", f'Could not find labeling job "{cls.records.arn(name)}".')
        return super().need(name)

    def describe(self) -> Response:
        """Unlike those of other jobs with its tags."""
        return dict(self.record)


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


def _check_template(ui: Request, output: RoleOutput) -> None:
    """A template in S3 that the page cannot show is refused here; one that the role cannot read fails the job, as on AWS."""
    if "UiTemplateS3Uri" not in ui:
        return
    try:
        check_template(output.read(ui["UiTemplateS3Uri"]), scripts=template_scripts.RUN)
    except OutputRefused:
        return
    except TemplateError as error:
        raise validation_error(f"{ui['UiTemplateS3Uri']} cannot be shown: {error}") from None


@operation("sagemaker", "CreateLabelingJob")
def create_labeling_job(request: Request) -> Response:
    _check(request)
    output = RoleOutput(request["RoleArn"], request["OutputConfig"].get("KmsKeyId"))
    _check_template(request["HumanTaskConfig"]["UiConfig"], output)
    reference = hashlib.sha256(LabelingJob.records.arn(request["LabelingJobName"]).encode()).hexdigest()[:16]
    job = LabelingJob(
        {
            **{key: request[key] for key in _KEPT if key in request},
            "LabelCounters": labeling_run.counters(0, labeled=0, failed=0),
            "JobReferenceCode": reference,
        }
    )
    job.begin(labeling_run.LabelingRun(job, output).run)
    return {"LabelingJobArn": job.arn}


@operation("sagemaker", "DescribeLabelingJob")
def describe_labeling_job(request: Request) -> Response:
    return LabelingJob.need(request["LabelingJobName"]).describe()


@operation("sagemaker", "StopLabelingJob")
def stop_labeling_job(request: Request) -> Response:
    """Tasks that nobody holds are withdrawn; what is labelled by then is written."""
    LabelingJob.need(request["LabelingJobName"]).stop()
    return {}


@operation("sagemaker", "ListLabelingJobs")
def list_labeling_jobs(request: Request) -> Response:
    rows = [_summary(job) for job in LabelingJob.all()]
    return page(rows, request, "LabelingJobSummaryList", name="LabelingJobName", status="LabelingJobStatus")


def _summary(job: LabelingJob) -> Response:
    keys = (
        "LabelingJobName", "LabelingJobArn", "CreationTime", "LastModifiedTime", "LabelingJobStatus", "LabelCounters", "FailureReason",
        "LabelingJobOutput", "InputConfig",
    )  # fmt: skip
    task = job.record["HumanTaskConfig"]
    return {
        **job.members(keys),
        "WorkteamArn": task["WorkteamArn"],
        "PreHumanTaskLambdaArn": task["PreHumanTaskLambdaArn"],
        "AnnotationConsolidationLambdaArn": task["AnnotationConsolidationConfig"]["AnnotationConsolidationLambdaArn"],
    }
