"""Legs that make a model and serve it: a tuning of one job on made-up texts, and an endpoint of one instance."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cli.console import deploy_first
from cli.smoke.run import LegFailed, LegSkipped, Run
from contracts.dataset import Row
from contracts.dataset_files import write_dataset

_WORDS = ("apple", "river", "stone", "cloud", "paper", "table", "green", "quick", "little", "window")
_ROWS = {"train": 30, "validation": 12, "test": 24}
"""Per label: as few as a training and an evaluation can work with."""


def tuning(run: Run) -> str:
    """Run the deployed tuning machine with one training job. The gates may refuse the model, because the texts are made up."""
    account = run.account
    if not account.parameter("base-model"):
        raise LegFailed(f"the parameter base-model does not exist: {deploy_first(account.settings.stage)}")
    uri = _upload_dataset(run)
    arn = account.names.arn("states", f"stateMachine:{account.names.state_machine('tuning')}")
    states = account.client("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=arn, name=run.name, input=json.dumps({"dataset_uri": uri, "max_jobs": 1, "reason": "smoke"})
    )["executionArn"]
    run.undo(f"the execution {run.name}", lambda: _stop(states, execution))
    ended = run.wait("one training job and its evaluation (minutes on AWS)", lambda: _ended(states, execution))
    job = _training_job(run, states, execution)
    if job is not None:
        run.made["training_job"] = job
        _remove_later(run, job)
    if ended["status"] == "SUCCEEDED":
        for package in json.loads(ended["output"])["packages"]:
            package_arn = package["model_package_arn"]
            run.undo(package_arn, partial(account.client("sagemaker").delete_model_package, ModelPackageName=package_arn))
        return f"{run.name} trained and evaluated one model, and the gates let it pass"
    if "GatesRefused" in ended.get("error", ""):
        return f"{run.name} trained and evaluated one model; the gates refused it, as they should with made-up texts"
    raise LegFailed(f"{run.name} ended {ended['status']}: {ended.get('error', '')}: {str(ended.get('cause', ''))[:500]}")


def texts(labels: Sequence[str], seed: int = 1) -> dict[str, list[Row]]:
    """Made-up rows of every label: each label has a word of its own, so that something can be learnt."""
    drawn = random.Random(seed)  # noqa: S311  (made-up texts, no secret)
    splits = {}
    for split, count in _ROWS.items():
        rows = []
        for label in labels:
            for number in range(count):
                words = " ".join(drawn.choice(_WORDS) for _ in range(6))
                name, text = f"smoke:{split}-{label}-{number}", f"{label} {words} {split} {number}"
                rows.append(Row(id=name, text=text, label=label, votes={label: 3}, group=name, slice="smoke", source="smoke"))
        splits[split] = rows
    return splits


def _upload_dataset(run: Run) -> str:
    s3, bucket = run.account.client("s3"), run.account.names.bucket("data")
    prefix = f"datasets/smoke-{run.id}"
    run.undo(f"s3://{bucket}/{prefix}/", lambda: remove_objects(run, bucket, f"{prefix}/"))
    with tempfile.TemporaryDirectory(prefix="reviewloop-") as scratch:
        folder = Path(scratch)
        write_dataset(folder, texts(run.labels), run.labels)
        for path in sorted(folder.rglob("*.json*")):
            s3.upload_file(str(path), bucket, f"{prefix}/{path.relative_to(folder).as_posix()}")
    return f"s3://{bucket}/{prefix}"


def _ended(states: Any, execution: str) -> dict[str, Any] | None:
    described: dict[str, Any] = states.describe_execution(executionArn=execution)
    return None if described["status"] == "RUNNING" else described


def _stop(states: Any, execution: str) -> None:
    if _ended(states, execution) is None:
        states.stop_execution(executionArn=execution, cause="smoke was interrupted")


def _training_job(run: Run, states: Any, execution: str) -> dict[str, Any] | None:
    """DescribeTrainingJob of the one job that the execution's tuning job ran."""
    pages = states.get_paginator("get_execution_history").paginate(executionArn=execution)
    for event in (event for page in pages for event in page["events"]):
        output = event.get("stateExitedEventDetails", {}).get("output", "")
        if '"tuning_job_name"' in output:
            run.made["tuning_job"] = json.loads(output)["tuning_job_name"]
            break
    else:
        return None
    sagemaker = run.account.client("sagemaker")
    jobs = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=run.made["tuning_job"])
    for summary in jobs["TrainingJobSummaries"]:
        described: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
        return described
    return None


def _remove_later(run: Run, job: dict[str, Any]) -> None:
    """Note the run's artifact, checkpoints and evaluations for removal. SageMaker cannot delete jobs; they cost nothing."""
    bucket, name = run.account.names.bucket("models"), job["TrainingJobName"]
    for prefix in (f"training/{name}/", f"checkpoints/{run.made['tuning_job']}/"):
        run.undo(f"s3://{bucket}/{prefix}", partial(remove_objects, run, bucket, prefix))
    sagemaker = run.account.client("sagemaker")
    began = job["CreationTime"]
    for summary in sagemaker.list_processing_jobs(CreationTimeAfter=began, MaxResults=100)["ProcessingJobSummaries"]:
        described = sagemaker.describe_processing_job(ProcessingJobName=summary["ProcessingJobName"])
        if f"/training/{name}/" in json.dumps(described["ProcessingInputs"], default=str):
            written = described["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
            evaluation = f"{written.removeprefix(f's3://{bucket}/')}/"
            run.undo(f"s3://{bucket}/{evaluation}", partial(remove_objects, run, bucket, evaluation))


def remove_objects(run: Run, bucket: str, prefix: str) -> None:
    """Every version of every object below a prefix."""
    s3 = run.account.client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        items = [item for key in ("Versions", "DeleteMarkers") for item in page.get(key, [])]
        versions = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in items]
        if versions:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})


def endpoint(run: Run) -> str:
    """Serve the model of the leg ``tuning`` on one instance of the stage's type, under the endpoint's role."""
    job = run.made.get("training_job")
    if job is None or job["TrainingJobStatus"] != "Completed":
        raise LegSkipped("the leg tuning left no model to serve")
    account, hosting = run.account, run.settings.hosting
    sagemaker, name = account.client("sagemaker"), run.name
    function = account.client("lambda").get_function_configuration(FunctionName=account.names.function("register-candidates"))
    container = {
        "Image": function["Environment"]["Variables"]["INFERENCE_IMAGE"],
        "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"],
    }
    role = f"arn:{account.partition}:iam::{account.id}:role/{account.names.endpoint_role}"
    tags = [{"Key": "application", "Value": run.settings.name}, {"Key": "stage", "Value": run.settings.stage}]
    run.undo(f"the model {name}", lambda: sagemaker.delete_model(ModelName=name))
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=role, EnableNetworkIsolation=True, Tags=tags)
    variant = {
        "VariantName": "smoke",
        "ModelName": name,
        "InstanceType": hosting.instance_type,
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1.0,
    }
    run.undo(f"the endpoint configuration {name}", lambda: sagemaker.delete_endpoint_config(EndpointConfigName=name))
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=tags, **_capture(run))
    run.undo(f"the endpoint {name}", lambda: _delete_endpoint(run, name))
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    described = run.wait("an endpoint of one instance (some five minutes on AWS)", lambda: _settled(sagemaker, name))
    if described["EndpointStatus"] != "InService":
        raise LegFailed(f"the endpoint {name} is {described['EndpointStatus']}: {described.get('FailureReason', 'no reason given')}")
    body = json.dumps({"inputs": f"{run.labels[0]} apple river"}).encode()
    answered = account.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=name, ContentType="application/json", Accept="application/json", InferenceId=f"smoke{run.id}", Body=body
    )
    (answer,) = json.loads(answered["Body"].read())
    missing = {"label", "confidence", "probabilities", "model_version", "review_threshold"} - set(answer)
    if missing:
        raise LegFailed(f"the answer has no {', '.join(sorted(missing))}: {answer!r}")
    run.made["endpoint"] = name
    return f"{hosting.instance_type} answered {answer.get('label_name', answer['label'])} at confidence {answer['confidence']:.2f}"


def capture_prefix(run: Run) -> str:
    """A prefix where the endpoint's role may write, and that is no partition of the drift query's table."""
    return f"capture/{run.account.names.prefix}/smoke"


def _capture(run: Run) -> dict[str, Any]:
    if run.settings.hosting.capture != "endpoint":
        return {}
    return {
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{run.account.names.bucket('capture')}/{capture_prefix(run)}",
            "KmsKeyId": run.account.parameter("key-arn"),
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        }
    }


def _settled(sagemaker: Any, name: str) -> dict[str, Any] | None:
    described: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=name)
    return None if described["EndpointStatus"] in ("Creating", "Updating") else described


def _delete_endpoint(run: Run, name: str) -> None:
    sagemaker = run.account.client("sagemaker")
    run.wait(f"the endpoint {name} to settle", lambda: _settled(sagemaker, name))
    sagemaker.delete_endpoint(EndpointName=name)
