"""Training jobs: inputs and output under the execution role, the container as a process, metrics by regex from its log."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from pathlib import Path
from typing import Any

from embedded_aws.core import background
from embedded_aws.core.api import Records, Request, Response, operation, validation_error
from embedded_aws.core.clock import now, scaled
from embedded_aws.eventbridge import service_events
from embedded_aws.sagemaker import container_logs
from embedded_aws.sagemaker.jobs import entry_point
from embedded_aws.sagemaker.jobs.job_files import (
    PREFIX,
    JobFailed,
    JobStorage,
    add,
    algorithm_error,
    container_environment,
    job_folder,
    pack,
    public,
    run_to_the_end,
)
from embedded_aws.sagemaker.listing import page

JOBS = Records("training-job")
POLL_SECONDS = 0.1
TERMINAL = ("Completed", "Failed", "Stopped")
_NEEDED = ("AlgorithmSpecification", "ResourceConfig")
_DAY_SECONDS = 86_400


@operation("sagemaker", "CreateTrainingJob")
def create_training_job(request: Request) -> Response:
    """Checks the role at once, as the service does, then runs in the background."""
    return {"TrainingJobArn": start(request)["TrainingJobArn"]}


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


def start(request: Request, **extra: Any) -> dict[str, Any]:
    """Create the record and its thread. ``extra`` is merged into the record (a tuning job names itself there)."""
    check(request)
    name = request["TrainingJobName"]
    storage = JobStorage(request["RoleArn"], name)
    record: dict[str, Any] = {
        "StoppingCondition": {"MaxRuntimeInSeconds": _DAY_SECONDS},
        **request,
        **extra,
        "TrainingJobArn": JOBS.arn(name),
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [],
        "CreationTime": now(),
        "FinalMetricDataList": [],
        "_metrics": [],
        "_log_size": 0,
        "_stop": threading.Event(),
        "_lock": threading.RLock(),
    }
    add(JOBS, "Training job", name, record)
    _transition(record, "InProgress", "Starting")
    background.start(lambda: run_to_the_end(lambda: _run(record, storage), lambda reason: _fail(record, reason)), f"training-{name}")
    return record


def _run(record: dict[str, Any], storage: JobStorage) -> None:
    root = job_folder("training", record["TrainingJobName"])
    _transition(record, "InProgress", "Downloading")
    _prepare(record, storage, root)
    _transition(record, "InProgress", "Training")
    record["TrainingStartTime"] = now()
    try:
        ended = _execute(record, root)
    except JobFailed:
        with contextlib.suppress(JobFailed):  # the program's failure is the one to tell
            _upload_what_is_left(record, storage, root)
        raise
    finally:
        record["TrainingEndTime"] = now()
        record["TrainingTimeInSeconds"] = record["BillableTimeInSeconds"] = round(record["TrainingEndTime"] - record["TrainingStartTime"])
    _transition(record, "InProgress", "Uploading")
    _upload_what_is_left(record, storage, root)
    _upload_model(record, storage, root)
    _transition(record, "Completed" if ended == "Completed" else "Stopped", ended)


def _fail(record: dict[str, Any], reason: str) -> None:
    record.setdefault("TrainingEndTime", now())
    record["FailureReason"] = reason
    _transition(record, "Failed", "Failed")


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


def _execute(record: dict[str, Any], root: Path) -> str:
    """Run the container to its end: ``Completed``, ``Stopped`` or ``MaxRuntimeExceeded``.

    Raises:
        JobFailed: the program failed.
    """
    if record["_stop"].is_set():
        return "Stopped"
    environment = {
        **container_environment(record.get("Environment", {}), isolated=bool(record.get("EnableNetworkIsolation"))),
        "TRAINING_JOB_NAME": record["TrainingJobName"],
        "TRAINING_JOB_ARN": record["TrainingJobArn"],
    }
    log_file = root / "container.log"
    process = entry_point.start(record["AlgorithmSpecification"], root, environment, log_file)
    deadline = time.monotonic() + record["StoppingCondition"].get("MaxRuntimeInSeconds", _DAY_SECONDS)
    ended = "Completed"
    with container_logs.of_job("TrainingJobs", record["TrainingJobName"], record["RoleArn"], log_file).following():
        while process.poll() is None:
            _read_metrics(record, log_file)
            if record["_stop"].is_set() or time.monotonic() > deadline:
                ended = "Stopped" if record["_stop"].is_set() else "MaxRuntimeExceeded"
                background.stop(process, grace_seconds=max(1.0, scaled(120)))
            time.sleep(POLL_SECONDS)
        background.stop(process)  # what the container has left running
    entry_point.clean(root)
    _read_metrics(record, log_file)
    if ended == "Completed" and process.returncode:
        raise algorithm_error(root, log_file, process.returncode)
    return ended


def _read_metrics(record: dict[str, Any], log_file: Path) -> None:
    """Every number that a metric's regex finds so far; the last one is the final value, as the service takes it."""
    size = log_file.stat().st_size if log_file.exists() else 0
    if size == record["_log_size"]:
        return
    record["_log_size"] = size
    text = log_file.read_text(errors="replace")
    final = []
    series: list[tuple[str, float]] = []
    for definition in record["AlgorithmSpecification"].get("MetricDefinitions", []):
        values = [value for value in map(_number, re.finditer(definition["Regex"], text)) if value is not None]
        series += [(definition["Name"], value) for value in values]
        if values:
            final.append({"MetricName": definition["Name"], "Value": values[-1], "Timestamp": now()})
    record["FinalMetricDataList"], record["_metrics"] = final, series


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


def _transition(record: dict[str, Any], status: str, secondary: str) -> None:
    """A job that is asked to stop is ``Stopping`` until it has ended; one that has ended stays so."""
    with record["_lock"]:
        if record["TrainingJobStatus"] in TERMINAL:
            return
        if status == "InProgress" and record["_stop"].is_set():
            status = "Stopping"
        transitions = record["SecondaryStatusTransitions"]
        if transitions:
            transitions[-1]["EndTime"] = now()
        transitions.append({"Status": secondary, "StartTime": now(), "StatusMessage": record.get("FailureReason", secondary)})
        changed = status != record["TrainingJobStatus"] or len(transitions) == 1
        record |= {"TrainingJobStatus": status, "SecondaryStatus": secondary, "LastModifiedTime": now()}
    if changed:
        keys = ("TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus", "FailureReason")
        detail = {key: record[key] for key in keys if key in record}
        service_events.emit("aws.sagemaker", "SageMaker Training Job State Change", detail, [record["TrainingJobArn"]])


@operation("sagemaker", "DescribeTrainingJob")
def describe_training_job(request: Request) -> Response:
    return public(JOBS.need(request["TrainingJobName"]))


@operation("sagemaker", "StopTrainingJob")
def stop_training_job(request: Request) -> Response:
    stop(JOBS.need(request["TrainingJobName"]))
    return {}


def stop(record: dict[str, Any]) -> None:
    """Ask a running job to end; what it has written so far is uploaded.

    Raises:
        ApiError: it has ended already.
    """
    with record["_lock"]:
        if record["TrainingJobStatus"] in TERMINAL:
            raise validation_error(f"The request was rejected because the training job is in status {record['TrainingJobStatus']}.")
        asked_before = record["_stop"].is_set()
        record["_stop"].set()
    if not asked_before:
        _transition(record, "Stopping", "Stopping")


@operation("sagemaker", "ListTrainingJobs")
def list_training_jobs(request: Request) -> Response:
    keys = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus")
    rows = [{key: record[key] for key in keys if key in record} for _, record in JOBS.items()]
    return page(rows, request, "TrainingJobSummaries", name="TrainingJobName", status="TrainingJobStatus")
