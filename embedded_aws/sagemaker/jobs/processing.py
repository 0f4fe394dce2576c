"""Processing jobs: inputs and outputs under the execution role, the container's entry point as a process."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from embedded_aws.containers import image_python
from embedded_aws.core import background
from embedded_aws.core.api import Records, Request, Response, operation, validation_error
from embedded_aws.core.clock import now
from embedded_aws.sagemaker import container_logs
from embedded_aws.sagemaker.jobs.job import Job
from embedded_aws.sagemaker.jobs.job_files import (
    PREFIX,
    REASON_LIMIT,
    JobFailed,
    JobStorage,
    algorithm_error,
    container_environment,
    job_folder,
    rewrite,
)
from embedded_aws.sagemaker.listing import page

POLL_SECONDS = 0.1
_DAY_SECONDS = 86_400


class ProcessingJob(Job):
    """A processing job."""

    records = Records("processing-job")
    prefix = "ProcessingJob"
    word = "processing job"
    ended_at = "ProcessingEndTime"
    event = "SageMaker Processing Job State Change"
    event_members = ("ProcessingJobName", "ProcessingJobArn", "ProcessingJobStatus", "FailureReason", "ExitMessage")


@operation("sagemaker", "CreateProcessingJob")
def create_processing_job(request: Request) -> Response:
    """Checks the role at once, as the service does, then runs in the background."""
    unknown = [item["InputName"] for item in request.get("ProcessingInputs", []) if "S3Input" not in item]
    if unknown:
        raise validation_error(f"The embedded AWS takes S3 inputs only: {', '.join(unknown)} must have an S3Input.")
    storage = JobStorage(request["RoleArn"], request["ProcessingJobName"])
    job = ProcessingJob(request)
    job.begin(lambda: _run(job, storage))
    return {"ProcessingJobArn": job.arn}


def _run(job: ProcessingJob, storage: JobStorage) -> None:
    record, root = job.record, job_folder("processing", job.name)
    for item in record.get("ProcessingInputs", []):
        storage.download(item["S3Input"]["S3Uri"], _local(item["S3Input"], root))
    outputs = record.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for item in outputs:
        _local(item["S3Output"], root).mkdir(parents=True, exist_ok=True)
    _describe_to_the_container(record, root)
    record["ProcessingStartTime"] = now()
    completed = _execute(job, root)
    key = record.get("ProcessingOutputConfig", {}).get("KmsKeyId")
    for item in outputs:
        storage.upload_folder(_local(item["S3Output"], root), item["S3Output"]["S3Uri"], key)
    job.change("Completed" if completed else "Stopped")


def _local(place: dict[str, Any], root: Path) -> Path:
    return Path(place["LocalPath"].replace(PREFIX, str(root)))


def _describe_to_the_container(record: dict[str, Any], root: Path) -> None:
    """``/opt/ml/config``. Source: SageMaker developer guide, "How Amazon SageMaker Processing Configures Your Processing Container"."""
    keys = ("ProcessingJobArn", "ProcessingJobName", "AppSpecification", "Environment", "ProcessingInputs", "ProcessingOutputConfig",
            "ProcessingResources", "RoleArn", "StoppingCondition")  # fmt: skip
    documents = {
        "processingjobconfig": {key: record[key] for key in keys if key in record},
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }
    (root / "config").mkdir()
    for name, content in documents.items():
        (root / "config" / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _execute(job: ProcessingJob, root: Path) -> bool:
    """Run the entry point. False: it was stopped, by request or at MaxRuntimeInSeconds. Raises JobFailed with its message."""
    if job.is_stopping:
        return False
    record = job.record
    specification = record["AppSpecification"]
    command = [*specification.get("ContainerEntrypoint", []), *specification.get("ContainerArguments", [])]
    if not command:
        raise JobFailed("ClientError: the embedded AWS has no images: AppSpecification.ContainerEntrypoint must say what to run")
    given = record.get("Environment", {})
    rewritten = dict(zip(given, rewrite(list(given.values()), root), strict=True))
    isolated = bool(record.get("NetworkConfig", {}).get("EnableNetworkIsolation"))
    others = sum(not other.is_over for other in ProcessingJob.all() if other is not job)
    environment = container_environment(rewritten, isolated=isolated, at_once=1 + others)
    # The container's python3 is the interpreter that stands for the image.
    environment["PATH"] = f"{image_python.SEARCH_PATH}:{environment.get('PATH', '/usr/bin:/bin')}"
    log_file = root / "container.log"
    (root / "output").mkdir(exist_ok=True)
    try:
        process = background.spawn(rewrite(command, root), environment=environment, cwd=root, log_file=log_file)
    except FileNotFoundError:
        raise JobFailed(f"AlgorithmError: the container has no program {command[0]}, exit code: 127") from None
    deadline = time.monotonic() + record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DAY_SECONDS)
    with container_logs.of_job("ProcessingJobs", job.name, record["RoleArn"], log_file).following():
        while process.poll() is None:
            if job.is_stopping or time.monotonic() > deadline:
                background.stop(process)
                return False
            time.sleep(POLL_SECONDS)
        background.stop(process)  # what the container has left running
    _read_exit_message(record, root / "output" / "message")
    if process.returncode:
        raise algorithm_error(root, log_file, process.returncode)
    return True


def _read_exit_message(record: dict[str, Any], path: Path) -> None:
    """The first kilobyte of the file, whatever the status. Raises JobFailed when it is no UTF-8.

    Source: SageMaker developer guide, "Save and Access Metadata Information About Your Processing Job".
    """
    if not path.exists():
        return
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise JobFailed(f"ClientError: /opt/ml/output/message is not UTF-8 encoded: {error}") from None
    record["ExitMessage"] = content[:REASON_LIMIT].decode(errors="ignore")


@operation("sagemaker", "DescribeProcessingJob")
def describe_processing_job(request: Request) -> Response:
    return ProcessingJob.need(request["ProcessingJobName"]).describe()


@operation("sagemaker", "ListProcessingJobs")
def list_processing_jobs(request: Request) -> Response:
    keys = (
        "ProcessingJobName",
        "ProcessingJobArn",
        "CreationTime",
        "ProcessingEndTime",
        "LastModifiedTime",
        "ProcessingJobStatus",
        "FailureReason",
    )
    rows = [job.members(keys) for job in ProcessingJob.all()]
    return page(rows, request, "ProcessingJobSummaries", name="ProcessingJobName", status="ProcessingJobStatus")


@operation("sagemaker", "StopProcessingJob")
def stop_processing_job(request: Request) -> Response:
    ProcessingJob.need(request["ProcessingJobName"]).stop()
    return {}
