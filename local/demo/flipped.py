"""A challenger that is wrong on purpose: trained on flipped labels and registered past the gates, to see the rollout take it back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from contracts.dataset import SPLITS, Row
from contracts.dataset_files import read_rows, write_dataset
from lambdas.common.release import Release
from local.demo.retraining import follow, newest_rollout
from local.demo.session import DemoFailed, Session

TRAINING_SECONDS = 1_800
_OF_A_TUNING = "_tuning_"
"""What hyper-parameter tuning adds to the hyper-parameters of its jobs."""


def roll_out(session: Session, traffic_texts: Sequence[str]) -> int:
    """Train a model on flipped labels, and start its rollout; returns how many callers were answered meanwhile.

    Raises:
        DemoFailed: the training or the rollout failed.
    """
    package = _register(session, _train(session))
    champion = Release.parse(session.client("ssm").get_parameter(Name=session.names.parameter("release"))["Parameter"]["Value"]).champion
    arn = session.start("rollout", {"champion": champion, "challenger": package, "reason": "trained on flipped labels, on purpose"})
    described, traffic = follow(session, arn, traffic_texts, "rolling out")
    session.rollout = newest_rollout(session)
    session.summary.rollout = session.output_of(described)
    met = Counter(answer["variant"] for answer in traffic.answers)["challenger"]
    answered, failed = len(traffic.answers), len(traffic.failures)
    session.summary.rollout |= {"callers_answered": answered, "callers_failed": failed, "met_the_challenger": met}
    session.say(f"{answered} callers were answered meanwhile, {met} of them by the challenger; {failed} were not answered")
    session.say(f"[bold]{session.summary.rollout['outcome'].replace('_', ' ')}[/]: {session.summary.rollout['reason']}")
    return answered


def flipped(rows: Sequence[Row], labels: Sequence[str]) -> Iterator[Row]:
    """The same texts, each with the label after its own, and the votes moved alike."""
    following = dict(zip(labels, [*labels[1:], labels[0]], strict=True))
    for row in rows:
        yield replace(row, label=following[row.label], votes={following[label]: count for label, count in row.votes.items()})


def _train(session: Session) -> str:
    """Name of a training job like the best trial's, on flipped labels."""
    sagemaker, names = session.client("sagemaker"), session.names
    manifest, folder = session.source.manifest, session.output / "flipped"
    splits = {split: list(flipped(read_rows(session.source.dataset / split), manifest.labels)) for split in SPLITS}
    version = write_dataset(folder, splits, manifest.labels, label_names=manifest.label_names).version
    for path in (path for path in folder.rglob("*") if path.is_file()):
        session.client("s3").upload_file(str(path), names.bucket("data"), f"datasets/flipped-{version}/{path.relative_to(folder)}")
    best = sagemaker.describe_training_job(TrainingJobName=session.summary.best_trial)
    job = f"{names.prefix}-flipped-{version}"[:63]
    sagemaker.create_training_job(
        TrainingJobName=job,
        HyperParameters={key: value for key, value in best["HyperParameters"].items() if not key.startswith(_OF_A_TUNING)},
        InputDataConfig=[_channel(one, f"s3://{names.bucket('data')}/datasets/flipped-{version}") for one in best["InputDataConfig"]],
        **{
            key: best[key]
            for key in ("AlgorithmSpecification", "RoleArn", "OutputDataConfig", "ResourceConfig", "StoppingCondition",
                        "EnableNetworkIsolation", "EnableInterContainerTrafficEncryption")
            if key in best
        },
    )  # fmt: skip
    deadline = time.monotonic() + TRAINING_SECONDS
    with session.progress("training on flipped labels", None) as update:
        while (described := sagemaker.describe_training_job(TrainingJobName=job))["TrainingJobStatus"] in ("InProgress", "Stopping"):
            update(0)
            if time.monotonic() > deadline:
                raise DemoFailed(f"the training job {job} still runs after {TRAINING_SECONDS} s: see {session.emulator.log_file}")
            time.sleep(0.5)
    if described["TrainingJobStatus"] != "Completed":
        raise DemoFailed(f"the training job {job} ended {described['TrainingJobStatus']}: {described.get('FailureReason', '')}")
    return job


def _channel(channel: Mapping[str, Any], dataset: str) -> dict[str, Any]:
    """A channel of the best trial; those with texts get the flipped ones."""
    if channel["ChannelName"] not in SPLITS:
        return dict(channel)
    source = {**channel["DataSource"]["S3DataSource"], "S3Uri": f"{dataset}/{channel['ChannelName']}/"}
    return {**channel, "DataSource": {"S3DataSource": source}}


def _register(session: Session, job: str) -> str:
    """ARN of an approved model package with the job's model, otherwise like the champion's."""
    sagemaker = session.client("sagemaker")
    packages = sagemaker.list_model_packages(ModelPackageGroupName=session.names.model_package_group)["ModelPackageSummaryList"]
    like = sagemaker.describe_model_package(ModelPackageName=packages[-1]["ModelPackageArn"])
    model = sagemaker.describe_training_job(TrainingJobName=job)["ModelArtifacts"]["S3ModelArtifacts"]
    (container,) = like["InferenceSpecification"]["Containers"]
    kept = {key: container[key] for key in ("Image", "Environment") if key in container}
    created: str = sagemaker.create_model_package(
        ModelPackageGroupName=like["ModelPackageGroupName"],
        ModelPackageDescription="Trained on flipped labels, to see a rollout take it back",
        ModelApprovalStatus="Approved",
        InferenceSpecification={**like["InferenceSpecification"], "Containers": [{**kept, "ModelDataUrl": model}]},
        CustomerMetadataProperties={"training_job": job},
    )["ModelPackageArn"]
    session.say(f"{created.rpartition('/')[2]} is a model of flipped labels, approved without the gates")
    return created
