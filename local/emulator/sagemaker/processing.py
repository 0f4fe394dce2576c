"""Processing jobs: inputs and outputs under the execution role, the container's entry point as a process."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from local.emulator import background, events
from local.emulator.api import Records, Request, Response, operation, paginate, validation_error
from local.emulator.background import CONTAINER_PYTHON
from local.emulator.clock import now
from local.emulator.sagemaker.job_files import PREFIX, JobFailed, JobStorage, failure_text, job_folder, public, rewrite, tail

JOBS = Records("processing-job")
TERMINAL = ("Completed", "Failed", "Stopped")
POLL_SECONDS = 0.1
_THREADS = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}


@operation("sagemaker", "CreateProcessingJob")
def create_processing_job(request: Request) -> Response:
    name = request["ProcessingJobName"]
    storage = JobStorage(request["RoleArn"], name)
    record: dict[str, Any] = {
        **request,
        "ProcessingJobArn": JOBS.arn(name),
        "ProcessingJobStatus": "InProgress",
        "CreationTime": now(),
        "LastModifiedTime": now(),
        "_stop": threading.Event(),
    }
    JOBS.add(name, record)
    _set_status(record, "InProgress")
    background.start(lambda: _run(record, storage), f"processing-{name}")
    return {"ProcessingJobArn": record["ProcessingJobArn"]}


def _run(record: dict[str, Any], storage: JobStorage) -> None:
    root = job_folder("processing", record["ProcessingJobName"])
    try:
        for item in record.get("ProcessingInputs", []):
            source = item["S3Input"]
            storage.download(source["S3Uri"], Path(source["LocalPath"].replace(PREFIX, str(root))))
        outputs = record.get("ProcessingOutputConfig", {}).get("Outputs", [])
        for item in outputs:
            Path(item["S3Output"]["LocalPath"].replace(PREFIX, str(root))).mkdir(parents=True, exist_ok=True)
        record["ProcessingStartTime"] = now()
        stopped = _execute(record, root)
        key = record.get("ProcessingOutputConfig", {}).get("KmsKeyId")
        for item in outputs:
            target = item["S3Output"]
            storage.upload_folder(Path(target["LocalPath"].replace(PREFIX, str(root))), target["S3Uri"], key)
        record["ProcessingEndTime"] = now()
        _set_status(record, "Stopped" if stopped else "Completed")
    except JobFailed as error:
        record |= {"FailureReason": str(error), "ProcessingEndTime": now()}
        _set_status(record, "Failed")


def _execute(record: dict[str, Any], root: Path) -> bool:
    """Run the entry point; True when it was stopped. Raises JobFailed with what the container said."""
    specification = record["AppSpecification"]
    command = [*specification.get("ContainerEntrypoint", []), *specification.get("ContainerArguments", [])]
    if not command:
        raise JobFailed("ClientError: the embedded AWS has no images: AppSpecification.ContainerEntrypoint must say what to run")
    python = Path(CONTAINER_PYTHON).absolute()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    given = record.get("Environment", {})
    environment |= dict(zip(given, rewrite(list(given.values()), root), strict=True)) | _THREADS
    # The container's python3 is the interpreter that stands for the image.
    environment["PATH"] = f"{python.parent}:{environment.get('PATH', '/usr/bin:/bin')}"
    log_file = root / "container.log"
    (root / "output").mkdir(exist_ok=True)
    process = background.spawn(rewrite(command, root), environment=environment, cwd=root, log_file=log_file)
    deadline = time.monotonic() + record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400)
    while process.poll() is None:
        if record["_stop"].is_set():
            background.stop(process)
            return True
        if time.monotonic() > deadline:
            background.stop(process)
            raise JobFailed("ClientError: the job took longer than StoppingCondition.MaxRuntimeInSeconds")
        time.sleep(POLL_SECONDS)
    message = root / "output" / "message"
    if message.exists():
        record["ExitMessage"] = message.read_text(errors="replace")[:1_024]
    if process.returncode:
        raise JobFailed(f"AlgorithmError: {failure_text(root, tail(log_file))}, exit code: {process.returncode}")
    return False


def _set_status(record: dict[str, Any], status: str) -> None:
    record |= {"ProcessingJobStatus": status, "LastModifiedTime": now()}
    keys = ("ProcessingJobName", "ProcessingJobArn", "ProcessingJobStatus", "FailureReason", "ExitMessage")
    detail = {key: record[key] for key in keys if key in record}
    events.emit("aws.sagemaker", "SageMaker Processing Job State Change", detail, [record["ProcessingJobArn"]])


@operation("sagemaker", "DescribeProcessingJob")
def describe_processing_job(request: Request) -> Response:
    return public(JOBS.need(request["ProcessingJobName"]))


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
    rows = [{key: record[key] for key in keys if key in record} for _, record in JOBS.items()]
    rows.sort(key=lambda row: row["CreationTime"], reverse=request.get("SortOrder", "Descending") == "Descending")
    return paginate(rows, request, "ProcessingJobSummaries")


@operation("sagemaker", "StopProcessingJob")
def stop_processing_job(request: Request) -> Response:
    record = JOBS.need(request["ProcessingJobName"])
    if record["ProcessingJobStatus"] in TERMINAL:
        raise validation_error(f"The processing job is in status {record['ProcessingJobStatus']} and cannot be stopped.")
    _set_status(record, "Stopping")
    record["_stop"].set()
    return {}
