"""Training jobs: inputs and output under the execution role, the container as a process, metrics by regex from its log."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from pathlib import Path
from typing import Any

from local.emulator import background, events
from local.emulator.api import Records, Request, Response, operation, paginate, validation_error
from local.emulator.background import CONTAINER_PYTHON
from local.emulator.clock import now, scaled
from local.emulator.sagemaker.job_files import JobFailed, JobStorage, failure_text, job_folder, pack, public, tail

JOBS = Records("training-job")
POLL_SECONDS = 0.1
TERMINAL = ("Completed", "Failed", "Stopped")
_ROOT = Path(__file__).resolve().parents[3]
# Two cores: one thread a job, and no more processes at once than a tuning job asks for.
_THREADS = {"OMP_NUM_THREADS": "1", "SM_NUM_CPUS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


@operation("sagemaker", "CreateTrainingJob")
def create_training_job(request: Request) -> Response:
    """Checks the role at once, as the service does, then runs in the background."""
    return {"TrainingJobArn": start(request)["TrainingJobArn"]}


def start(request: Request, **extra: Any) -> dict[str, Any]:
    """Create the record and its thread. ``extra`` is merged into the record (a tuning job names itself there)."""
    name = request["TrainingJobName"]
    storage = JobStorage(request["RoleArn"], name)
    record: dict[str, Any] = {
        **request,
        **extra,
        "TrainingJobArn": JOBS.arn(name),
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [],
        "CreationTime": now(),
        "FinalMetricDataList": [],
        "_metrics": [],
        "_stop": threading.Event(),
    }
    JOBS.add(name, record)
    _transition(record, "InProgress", "Starting")
    background.start(lambda: _run(record, storage), f"training-{name}")
    return record


def _run(record: dict[str, Any], storage: JobStorage) -> None:
    root = job_folder("training", record["TrainingJobName"])
    try:
        _transition(record, "InProgress", "Downloading")
        _prepare(record, storage, root)
        _transition(record, "InProgress", "Training")
        record["TrainingStartTime"] = now()
        stopped = _execute(record, root)
        record["TrainingEndTime"] = now()
        _transition(record, "InProgress", "Uploading")
        _upload(record, storage, root)
        _transition(record, "Stopped" if stopped else "Completed", "Stopped" if stopped else "Completed")
    except JobFailed as error:
        record.setdefault("TrainingEndTime", now())
        record["FailureReason"] = str(error)
        _transition(record, "Failed", "Failed")


def _prepare(record: dict[str, Any], storage: JobStorage, root: Path) -> None:
    channels = {}
    for item in record.get("InputDataConfig", []):
        name = item["ChannelName"]
        storage.download(item["DataSource"]["S3DataSource"]["S3Uri"], root / "input" / "data" / name)
        channels[name] = {"TrainingInputMode": "File", "ContentType": item.get("ContentType", "")}
    checkpoint = record.get("CheckpointConfig")
    if checkpoint:
        record["_checkpoints"] = f"{checkpoint['S3Uri'].rstrip('/')}/{record['TrainingJobName']}"
    config = root / "input" / "config"
    config.mkdir(parents=True)
    documents = {
        "hyperparameters": record.get("HyperParameters", {}),
        "inputdataconfig": channels,
        "resourceconfig": {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"},
    }
    for name, content in documents.items():
        (config / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def _execute(record: dict[str, Any], root: Path) -> bool:
    """Run the container to its end; True when it was stopped.

    Raises:
        JobFailed: the program failed, or took longer than its StoppingCondition.
    """
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
        **record.get("Environment", {}),
        **_THREADS,
        "TRAINING_JOB_NAME": record["TrainingJobName"],
        "TRAINING_JOB_ARN": record["TrainingJobArn"],
        "PYTHONPATH": str(_ROOT),
    }
    log_file = root / "container.log"
    command = [CONTAINER_PYTHON, "-m", "local.container.training", "--root", str(root)]
    process = background.spawn(command, environment=environment, cwd=_ROOT, log_file=log_file)
    deadline = time.monotonic() + record["StoppingCondition"].get("MaxRuntimeInSeconds", 86_400)
    stopped = False
    while process.poll() is None:
        _read_metrics(record, log_file)
        if record["_stop"].is_set() or time.monotonic() > deadline:
            stopped = True
            background.stop(process, grace_seconds=max(1.0, scaled(120)))
        time.sleep(POLL_SECONDS)
    _read_metrics(record, log_file)
    record["BillableTimeInSeconds"] = round(now() - record["TrainingStartTime"])
    if stopped:
        return True
    if process.returncode:
        raise JobFailed(f"AlgorithmError: {failure_text(root, tail(log_file))}, exit code: {process.returncode}")
    return False


def _read_metrics(record: dict[str, Any], log_file: Path) -> None:
    """Every match of every metric's regex so far; the last one is the final value, as the service takes it."""
    if not log_file.exists():
        return
    text = log_file.read_text(errors="replace")
    final = []
    series: list[tuple[str, float]] = []
    for definition in record["AlgorithmSpecification"].get("MetricDefinitions", []):
        values = [float(match) for match in re.findall(definition["Regex"], text)]
        series += [(definition["Name"], value) for value in values]
        if values:
            final.append({"MetricName": definition["Name"], "Value": values[-1], "Timestamp": now()})
    record["FinalMetricDataList"], record["_metrics"] = final, series


def _upload(record: dict[str, Any], storage: JobStorage, root: Path) -> None:
    output = record["OutputDataConfig"]
    base = f"{output['S3OutputPath'].rstrip('/')}/{record['TrainingJobName']}/output"
    model = root / "model"
    if model.exists() and any(model.iterdir()):
        archive = root / "model.tar.gz"
        pack(model, archive)
        uri = f"{base}/model.tar.gz"
        storage.upload(archive, uri, output.get("KmsKeyId"))
        archive.unlink()
        record["ModelArtifacts"] = {"S3ModelArtifacts": uri}


def _transition(record: dict[str, Any], status: str, secondary: str) -> None:
    transitions = record["SecondaryStatusTransitions"]
    if transitions:
        transitions[-1]["EndTime"] = now()
    transitions.append({"Status": secondary, "StartTime": now(), "StatusMessage": record.get("FailureReason", secondary)})
    changed = status != record["TrainingJobStatus"] or len(transitions) == 1
    record |= {"TrainingJobStatus": status, "SecondaryStatus": secondary, "LastModifiedTime": now()}
    if changed:
        detail = {
            key: record.get(key) for key in ("TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus", "FailureReason")
        }
        events.emit("aws.sagemaker", "SageMaker Training Job State Change", detail, [record["TrainingJobArn"]])


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
    if record["TrainingJobStatus"] in TERMINAL:
        raise validation_error(f"The request was rejected because the training job is in status {record['TrainingJobStatus']}.")
    record["TrainingJobStatus"] = "Stopping"
    record["_stop"].set()


@operation("sagemaker", "ListTrainingJobs")
def list_training_jobs(request: Request) -> Response:
    rows = [record for _, record in JOBS.items() if request.get("StatusEquals", record["TrainingJobStatus"]) == record["TrainingJobStatus"]]
    rows.sort(key=lambda record: record["CreationTime"], reverse=request.get("SortOrder", "Descending") == "Descending")
    keys = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus")
    return paginate([{key: record[key] for key in keys if key in record} for record in rows], request, "TrainingJobSummaries")
