"""Training jobs: inputs and output under the execution role, the container as a process, metrics by regex from its log."""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import Any

from embedded_aws.core import background
from embedded_aws.core.api import Records, Request, Response, operation, validation_error
from embedded_aws.core.clock import now, scaled
from embedded_aws.sagemaker import container_logs
from embedded_aws.sagemaker.jobs import entry_point
from embedded_aws.sagemaker.jobs.job import Job
from embedded_aws.sagemaker.jobs.job_files import (
    PREFIX,
    JobFailed,
    JobStorage,
    algorithm_error,
    container_environment,
    job_folder,
    pack,
)
from embedded_aws.sagemaker.listing import page

POLL_SECONDS = 0.1
_NEEDED = ("AlgorithmSpecification", "ResourceConfig")
_DAY_SECONDS = 86_400


class TrainingJob(Job):
    """A training job.

    Attributes:
        series: every value of every metric so far, in the order of the log: ``(metric, value)``.
        log_size: bytes of the log that the metrics were read from.
        at_once: training jobs that share the machine's cores.
    """

    records = Records("training-job")
    prefix = "TrainingJob"
    word = "training job"
    has_secondary_status = True
    ended_at = "TrainingEndTime"
    event = "SageMaker Training Job State Change"
    event_members = ("TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus", "FailureReason")
    cannot_stop = "The request was rejected because the {word} is in status {status}."

    def __init__(self, members: Request) -> None:
        super().__init__({"StoppingCondition": {"MaxRuntimeInSeconds": _DAY_SECONDS}, "FinalMetricDataList": [], **members})
        self.series: list[tuple[str, float]] = []
        self.log_size = 0
        self.at_once = 1


@operation("sagemaker", "CreateTrainingJob")
def create_training_job(request: Request) -> Response:
    """Checks the role at once, as the service does, then runs in the background."""
    return {"TrainingJobArn": start(request).arn}


def check(request: Request) -> None:
    """What the service's model leaves open.

    Raises:
        ApiError: ValidationException: a part that every job of ours has is missing, or a metric's regex cannot be read.
    """
    missing = [name for name in _NEEDED if name not in request]
    if missing:
        raise validation_error(f"The embedded AWS runs jobs on instances: {' and '.join(missing)} must be given.")
    algorithm = request["AlgorithmSpecification"]
    if "ContainerArguments" in algorithm and "ContainerEntrypoint" not in algorithm:
        raise validation_error(
            "AlgorithmSpecification.ContainerArguments without ContainerEntrypoint is not emulated: an image's own entry point is not here."
        )
    for definition in algorithm.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise validation_error(f"Invalid regular expression {definition['Regex']!r} of metric {definition['Name']}: {error}") from None


def start(request: Request, *, at_once: int = 1, **extra: Any) -> TrainingJob:
    """Create the job and its thread.

    Args:
        at_once: training jobs of one tuning job that run side by side, and share the machine's cores.
        extra: merged into the record (a tuning job names itself there).
    """
    check(request)
    storage = JobStorage(request["RoleArn"], request["TrainingJobName"])
    job = TrainingJob({**request, **extra})
    job.at_once = at_once
    job.begin(lambda: _run(job, storage), "Starting")
    return job


def _run(job: TrainingJob, storage: JobStorage) -> None:
    record, root = job.record, job_folder("training", job.name)
    job.change("InProgress", "Downloading")
    _prepare(record, storage, root)
    job.change("InProgress", "Training")
    record["TrainingStartTime"] = now()
    try:
        ended = _execute(job, root)
    except JobFailed:
        with contextlib.suppress(JobFailed):  # the program's failure is the one to tell
            _upload_what_is_left(record, storage, root)
        raise
    finally:
        record["TrainingEndTime"] = now()
        record["TrainingTimeInSeconds"] = record["BillableTimeInSeconds"] = round(record["TrainingEndTime"] - record["TrainingStartTime"])
    job.change("InProgress", "Uploading")
    _upload_what_is_left(record, storage, root)
    _upload_model(record, storage, root)
    job.change("Completed" if ended == "Completed" else "Stopped", ended)


def _prepare(record: dict[str, Any], storage: JobStorage, root: Path) -> None:
    channels = {}
    for item in record.get("InputDataConfig", []):
        name = item["ChannelName"]
        storage.download(item["DataSource"]["S3DataSource"]["S3Uri"], root / "input" / "data" / name)
        channels[name] = {"TrainingInputMode": "File", "ContentType": item.get("ContentType", "")}
    checkpoint = record.get("CheckpointConfig")
    if checkpoint:
        storage.download_if_any(_checkpoint_uri(record), _checkpoint_folder(record, root))
    entry_point.fetch_submitted(record, storage, root)
    config = root / "input" / "config"
    config.mkdir(parents=True)
    documents = {
        "hyperparameters": record.get("HyperParameters", {}),
        "inputdataconfig": channels,
        "resourceconfig": _resources(record["ResourceConfig"]["InstanceType"]),
    }
    for name, content in documents.items():
        (config / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _resources(instance_type: str) -> dict[str, Any]:
    """Source: SageMaker developer guide, "Distributed Training Configuration"."""
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": ["algo-1"]}
    return {
        "current_host": "algo-1",
        "current_instance_type": instance_type,
        "current_group_name": group["instance_group_name"],
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "lo",
    }


def _checkpoint_uri(record: dict[str, Any]) -> str:
    """A tuning job's training jobs share a definition, so each has a folder of its own (unverified; else they would overwrite)."""
    uri = str(record["CheckpointConfig"]["S3Uri"]).rstrip("/")
    return f"{uri}/{record['TrainingJobName']}" if "TuningJobArn" in record else uri


def _checkpoint_folder(record: dict[str, Any], root: Path) -> Path:
    return Path(record["CheckpointConfig"].get("LocalPath", f"{PREFIX}/checkpoints").replace(PREFIX, str(root)))


def _execute(job: TrainingJob, root: Path) -> str:
    """Run the container to its end: ``Completed``, ``Stopped`` or ``MaxRuntimeExceeded``.

    Raises:
        JobFailed: the program failed.
    """
    if job.is_stopping:
        return "Stopped"
    record = job.record
    environment = {
        **container_environment(record.get("Environment", {}), isolated=bool(record.get("EnableNetworkIsolation")), at_once=job.at_once),
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
    }
    log_file = root / "container.log"
    process = entry_point.start(record["AlgorithmSpecification"], root, environment, log_file)
    deadline = time.monotonic() + record["StoppingCondition"].get("MaxRuntimeInSeconds", _DAY_SECONDS)
    ended = "Completed"
    with container_logs.of_job("TrainingJobs", job.name, record["RoleArn"], log_file).following():
        while process.poll() is None:
            _read_metrics(job, log_file)
            if job.is_stopping or time.monotonic() > deadline:
                ended = "Stopped" if job.is_stopping else "MaxRuntimeExceeded"
                background.stop(process, grace_seconds=max(1.0, scaled(120)))
            time.sleep(POLL_SECONDS)
        background.stop(process)  # what the container has left running
    entry_point.clean(root)
    _read_metrics(job, log_file)
    if ended == "Completed" and process.returncode:
        raise algorithm_error(root, log_file, process.returncode)
    return ended


def _read_metrics(job: TrainingJob, log_file: Path) -> None:
    """Every number that a metric's regex finds so far; the last one is the final value, as the service takes it."""
    size = log_file.stat().st_size if log_file.exists() else 0
    if size == job.log_size:
        return
    job.log_size = size
    text = log_file.read_text(errors="replace")
    final = []
    series: list[tuple[str, float]] = []
    for definition in job.record["AlgorithmSpecification"].get("MetricDefinitions", []):
        values = [value for value in map(_number, re.finditer(definition["Regex"], text)) if value is not None]
        series += [(definition["Name"], value) for value in values]
        if values:
            final.append({"MetricName": definition["Name"], "Value": values[-1], "Timestamp": now()})
    job.record["FinalMetricDataList"], job.series = final, series


def _number(match: re.Match[str]) -> float | None:
    """The first group of a metric's match, or the whole match; None when it is no number."""
    try:
        return float(match[1] if match.re.groups else match[0])
    except (TypeError, ValueError):
        return None


def _upload_model(record: dict[str, Any], storage: JobStorage, root: Path) -> None:
    uri = _upload_archive(record, storage, root / "model", "model.tar.gz")
    if uri:
        record["ModelArtifacts"] = {"S3ModelArtifacts": uri}


def _upload_what_is_left(record: dict[str, Any], storage: JobStorage, root: Path) -> None:
    """Checkpoints and ``output/data``, which a failed or stopped job leaves too."""
    if "CheckpointConfig" in record:
        storage.upload_folder(_checkpoint_folder(record, root), _checkpoint_uri(record), record["OutputDataConfig"].get("KmsKeyId"))
    _upload_archive(record, storage, root / "output" / "data", "output.tar.gz")


def _upload_archive(record: dict[str, Any], storage: JobStorage, folder: Path, name: str) -> str | None:
    if not folder.exists() or not any(folder.iterdir()):
        return None
    output = record["OutputDataConfig"]
    uri = f"{output['S3OutputPath'].rstrip('/')}/{record['TrainingJobName']}/output/{name}"
    archive = folder.parent / f".{name}"
    pack(folder, archive)
    storage.upload(archive, uri, output.get("KmsKeyId"))
    archive.unlink()
    return uri


@operation("sagemaker", "DescribeTrainingJob")
def describe_training_job(request: Request) -> Response:
    return TrainingJob.need(request["TrainingJobName"]).describe()


@operation("sagemaker", "StopTrainingJob")
def stop_training_job(request: Request) -> Response:
    TrainingJob.need(request["TrainingJobName"]).stop()
    return {}


@operation("sagemaker", "ListTrainingJobs")
def list_training_jobs(request: Request) -> Response:
    keys = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus")
    rows = [job.members(keys) for job in TrainingJob.all()]
    return page(rows, request, "TrainingJobSummaries", name="TrainingJobName", status="TrainingJobStatus")
