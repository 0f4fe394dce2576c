"""The last part of the demo: retraining on people's labels, the new model's rollout, and a comparison on held-out texts."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.release.history import Rollout
from contracts.dataset_files import read_rows, write_dataset
from contracts.phrases import counted
from local.demo.build import refusal_of, trials_since
from local.demo.session import DemoFailed, Session
from local.demo.summary import Interval
from local.demo.traffic import BackgroundTraffic

RETRAINING_SECONDS = 3_600
PATIENT_SECONDS, EAGER_SECONDS = 3.0, 0.15
"""Between two calls of one caller, while jobs or containers need the machine, and while a rollout is judged."""
COMPARISON_SECONDS = 900


@dataclass(frozen=True)
class Retrained:
    """Callers that were answered meanwhile. ``skipped``: why nothing was retrained. ``refused``: why the gates refused the new models."""

    answered: int = 0
    skipped: str = ""
    refused: str = ""


def retrain(session: Session, traffic_texts: Sequence[str]) -> Retrained:
    """Ask for a retraining as its schedule does, and follow it to the end of its rollout while callers go on.

    Raises:
        DemoFailed: the retraining failed.
    """
    arn, reason = _start(session)
    if arn is None:
        return Retrained(skipped=reason)
    session.say(f"a retraining was started: {reason}")
    described, traffic = follow(session, arn, traffic_texts, "retraining on the new labels")
    answered, failed = len(traffic.answers), len(traffic.failures)
    session.summary.retraining_trials = trials_since(session, described["startDate"].timestamp())
    session.summary.retraining = {"callers_answered": answered, "callers_failed": failed}
    session.say(f"{answered} callers were answered meanwhile, {failed} were not")
    if described["status"] != "SUCCEEDED":
        refused = refusal_of(_newest_tuning(session))
        if refused:
            return Retrained(answered, refused=refused)
    output = session.output_of(described)
    session.summary.retraining |= output
    if "skipped" in output:
        return Retrained(answered, skipped=str(output["skipped"]))
    session.summary.rollout = output["rollout"]
    session.rollout = newest_rollout(session)
    session.say(what_became_of(output["labels"]))
    session.say(f"new dataset version {output['dataset_version']}, {counted(len(output['packages']), 'new model')} passed the gates")
    session.say(f"[bold]{output['rollout']['outcome'].replace('_', ' ')}[/]: {output['rollout']['reason']}")
    return Retrained(answered)


def follow(session: Session, arn: str, traffic_texts: Sequence[str], doing: str) -> tuple[dict[str, Any], BackgroundTraffic]:
    """Follow an execution to its end, and to that of the rollout in it, while callers go on; DescribeExecution and the callers.

    Args:
        doing: what it does while no rollout runs, in words.

    Raises:
        DemoFailed: it takes too long.
    """
    began = time.monotonic()
    with BackgroundTraffic(session, traffic_texts, pause=PATIENT_SECONDS) as traffic, session.progress(doing, None) as update:
        while True:
            described, now = session.execution(arn), time.monotonic()
            said, traffic.pause = doing, PATIENT_SECONDS
            if _rollout_runs(session):
                status, share = _endpoint(session)
                said = f"rolling out, challenger at {100 * share:.0f} %"
                # New containers have the machine while they start, and then the judge its evidence.
                traffic.pause = EAGER_SECONDS if status == "InService" else PATIENT_SECONDS
            update(int(now - began), said)
            if described["status"] != "RUNNING":
                return described, traffic
            if now - began > RETRAINING_SECONDS:
                raise DemoFailed(f"{doing}: it still runs after {RETRAINING_SECONDS} s: see {session.emulator.log_file}")
            time.sleep(0.5)


def what_became_of(labels: Mapping[str, int]) -> str:
    """The new labels in words; ``labels`` as the retraining's output has them."""
    parts = [f"{labels['trained_on']} trained on", f"{labels['held_out']} held out for validation and test"]
    if labels["frozen"]:
        parts.append(f"{labels['frozen']} left out, their texts are in validation or test already")
    if labels.get("over_worker_share"):
        parts.append(f"{labels['over_worker_share']} left out, one person had given too many")
    if labels["unusable"]:
        parts.append(f"{labels['unusable']} not usable")
    return f"{counted(labels['new'], 'new label')}: {', '.join(parts)}"


def _start(session: Session) -> tuple[str | None, str]:
    """The execution that the alarm or the schedule has started already, else one that is asked for as the schedule does, and its reason.

    Without an execution the reason says why there is none.
    """
    running = _newest_execution(session)
    if running is None:
        response = session.client("lambda").invoke(FunctionName=session.names.function("decide-retraining"), Payload=b"{}")
        decision = json.loads(response["Payload"].read())
        running = _newest_execution(session)
        if running is None:
            return None, str(decision.get("reason") or decision)
    return running, str(json.loads(session.execution(running)["input"]).get("reason", "no reason given"))


def _newest_execution(session: Session) -> str | None:
    """The newest retraining that is under way or ended well."""
    found = session.client("stepfunctions").list_executions(stateMachineArn=session.machine_arn("retraining"))["executions"]
    usable = [one for one in found if one["status"] in ("RUNNING", "SUCCEEDED")]
    return max(usable, key=lambda one: one["startDate"])["executionArn"] if usable else None


def _newest_tuning(session: Session) -> dict[str, Any]:
    found = session.client("stepfunctions").list_executions(stateMachineArn=session.machine_arn("tuning"))["executions"]
    return session.execution(max(found, key=lambda one: one["startDate"])["executionArn"])


def _rollout_runs(session: Session) -> bool:
    found = session.client("stepfunctions").list_executions(stateMachineArn=session.machine_arn("rollout"), statusFilter="RUNNING")
    return bool(found["executions"])


def _endpoint(session: Session) -> tuple[str, float]:
    """The endpoint's status, and the challenger's live share of the traffic, 0..1."""
    endpoint = session.client("sagemaker").describe_endpoint(EndpointName=session.names.endpoint)
    weights = {variant["VariantName"]: variant["CurrentWeight"] for variant in endpoint["ProductionVariants"]}
    return endpoint["EndpointStatus"], weights.get("challenger", 0.0) / (sum(weights.values()) or 1.0)


def newest_rollout(session: Session) -> Rollout:
    """The rollout that was begun last, by its history."""
    states = session.client("stepfunctions")
    found = states.list_executions(stateMachineArn=session.machine_arn("rollout"))["executions"]
    newest = max(found, key=lambda one: one["startDate"])
    pages = states.get_paginator("get_execution_history").paginate(executionArn=newest["executionArn"])
    return Rollout.read(newest["name"], [event for page in pages for event in page["events"]])


# -- before and after ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelPair:
    """ARNs of the model packages to compare."""

    old: str
    new: str


@dataclass(frozen=True)
class Comparison:
    """Evaluation jobs that run, by the kind of texts, and how many texts each has."""

    jobs: Mapping[str, str]
    texts: Mapping[str, int]


def start_comparison(session: Session, models: ModelPair, seed: int) -> Comparison:
    """Let the old and the new model answer the same held-out texts. Each kind of texts has one evaluation job, as in a tuning."""
    manifest, train = session.source.manifest, read_rows(session.source.dataset / "train")
    domains, jobs = session.source.held_out(), {}
    for number, (domain, rows) in enumerate(domains.items()):
        folder = session.output / "comparison" / str(number)
        splits = {"train": train, "validation": train[:50], "test": rows}
        version = write_dataset(folder, splits, manifest.labels, label_names=manifest.label_names).version
        jobs[domain] = _start_evaluation(session, folder, f"{number}-{version}", models, seed)
    return Comparison(jobs, {domain: len(rows) for domain, rows in domains.items()})


def read_comparison(session: Session, comparison: Comparison) -> None:
    """Wait for the jobs, and say what the new model gains.

    Raises:
        DemoFailed: a job failed, or takes too long.
    """
    with session.progress("old and new model on held-out texts", len(comparison.jobs)) as update:
        reports = {}
        for done, (domain, job) in enumerate(comparison.jobs.items(), 1):
            reports[domain] = _report_of(session, job)
            update(done)
    session.summary.compared_texts = dict(comparison.texts)
    for domain, report in reports.items():
        pair = {"before": Interval.of(report["references"]["champion"]["accuracy"]), "after": Interval.of(report["overall"]["accuracy"])}
        gain = Interval.of(report["difference_to_champion"]["accuracy"])
        session.summary.before_after[domain] = {**pair, "gain": gain}
        session.say(
            f"{domain}: accuracy {100 * pair['before'].value:.1f} % before, {100 * pair['after'].value:.1f} % after: "
            f"{100 * gain.value:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f}) on {comparison.texts[domain]} held-out texts"
        )


def _start_evaluation(session: Session, folder: Path, name: str, models: ModelPair, seed: int) -> str:
    """Start an evaluation job like the last one of the tuning, on other texts and models; returns its name."""
    sagemaker, s3 = session.client("sagemaker"), session.client("s3")
    prefix = f"datasets/comparison-{name}"
    for path in folder.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), session.names.bucket("data"), f"{prefix}/{path.relative_to(folder)}")
    summaries = sagemaker.list_processing_jobs(SortBy="CreationTime", SortOrder="Descending", MaxResults=20)["ProcessingJobSummaries"]
    last = next(one for one in summaries if "-compare-" not in one["ProcessingJobName"])
    definition = sagemaker.describe_processing_job(ProcessingJobName=last["ProcessingJobName"])
    code = next(item for item in definition["ProcessingInputs"] if item["InputName"] == "code")
    sources = {
        "model": model_uri(session, models.new),
        "champion": model_uri(session, models.old),
        "dataset": f"s3://{session.names.bucket('data')}/{prefix}/",
    }
    outputs = definition["ProcessingOutputConfig"]
    job = f"{session.names.prefix}-compare-{name}"[:63]
    outputs["Outputs"][0]["S3Output"]["S3Uri"] = f"s3://{session.names.bucket('models')}/evaluations/{job}"
    command = definition["AppSpecification"]
    arguments = command["ContainerArguments"]
    arguments[arguments.index("--seed") + 1] = str(seed)
    arguments += ["--report", "none"]  # both domains are the demo's own, and the demo has a page of its own for them
    sagemaker.create_processing_job(
        ProcessingJobName=job,
        RoleArn=definition["RoleArn"],
        AppSpecification=command,
        ProcessingInputs=[
            code,
            *(
                {"InputName": part, "S3Input": {**code["S3Input"], "S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{part}"}}
                for part, uri in sources.items()
            ),
        ],
        ProcessingOutputConfig=outputs,
        ProcessingResources=definition["ProcessingResources"],
        NetworkConfig=definition["NetworkConfig"],
    )
    return job


def _report_of(session: Session, job: str) -> dict[str, Any]:
    deadline = time.monotonic() + COMPARISON_SECONDS
    while True:
        described = session.client("sagemaker").describe_processing_job(ProcessingJobName=job)
        if described["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped"):
            break
        if time.monotonic() > deadline:
            raise DemoFailed(f"the comparison {job} still runs after {COMPARISON_SECONDS} s: see {session.emulator.log_file}")
        time.sleep(0.5)
    if described["ProcessingJobStatus"] != "Completed":
        raise DemoFailed(f"the comparison {job} ended {described['ProcessingJobStatus']}: {described.get('FailureReason', '')}")
    body = session.client("s3").get_object(Bucket=session.names.bucket("models"), Key=f"evaluations/{job}/evaluation.json")["Body"].read()
    report: dict[str, Any] = json.loads(body)
    return report


def model_uri(session: Session, package_arn: str) -> str:
    """S3 URI of a model package's artifact."""
    package = session.client("sagemaker").describe_model_package(ModelPackageName=package_arn)
    uri: str = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    return uri
