"""The first half of the demo: data, deployment, tuning, release."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from contracts.dataset_files import read_rows
from embedded_aws.tools import deployer
from local.demo import synthesis
from local.demo.session import DemoFailed, Session
from local.demo.summary import Score, Trial
from local.texts import corpus


class GatesRefused(RuntimeError):
    """No candidate of a tuning passed the gates. This is an outcome of the demo, not a fault. The text has the reasons."""


def make_dataset(session: Session, *, seed: int, labels_shuffled: bool) -> Path:
    """Fetch the corpus and write the first dataset version."""
    folder = session.output / "dataset"
    manifest = corpus.first_dataset(folder, seed=seed, labels_shuffled=labels_shuffled, share=session.budget.data_share)
    session.summary.dataset = {"version": manifest.version, "rows": dict(manifest.rows), "labels": list(manifest.labels)}
    rows = ", ".join(f"{count} {split}" for split, count in manifest.rows.items())
    session.say(
        f"{sum(manifest.rows.values())} Amazon review sentences with about 20 human ratings each: {rows} (version {manifest.version})"
    )
    if labels_shuffled:
        session.say("[yellow]labels of train and validation are shuffled on purpose: nothing can be learnt from them[/]")
    return folder


def require_node() -> None:
    """Check, before anything starts, that the CDK can run. Raises DemoFailed."""
    if shutil.which("node") is None:
        raise DemoFailed("node is not on the PATH: synthesis (AWS CDK) needs Node.js 22, or 20 at least; install it, then start again")


def synthesise(session: Session, output: Path) -> None:
    """Write the assembly of the run's settings; they are kept beside the report where they are not those of the stage's file.

    Raises:
        DemoFailed: with the end of the CDK's messages.
    """
    same = f"settings/{session.settings.stage}.yaml"
    if session.budget.overrides:
        settings = session.output.resolve() / "settings.json"
        settings.write_text(session.settings.model_dump_json(indent=2) + "\n", encoding="utf-8")
        same = f"the settings in {settings.name}"
    try:
        with session.progress("synthesising", None):
            reused = synthesis.assembly(session.settings, output)
    except synthesis.SynthesisFailed as error:
        raise DemoFailed(f"synthesis failed: {error}") from None
    how = "as synthesised before, since nothing has changed" if reused else "synthesised"
    session.say(f"{len(list(output.glob('*.template.json')))} templates with {same}, {how}")


def deploy(session: Session, assembly: Path) -> None:
    """Deploy every stack unchanged, with a bar over the resources of each."""
    artifacts = deployer.read_assembly(assembly)
    total = sum(artifact.resources for artifact in artifacts)
    before = dict(zip([a.name for a in artifacts], _running_total([a.resources for a in artifacts]), strict=True))
    with session.progress("deploying", total) as update:
        session.outputs = deployer.deploy(
            assembly,
            session.emulator.url,
            on_progress=lambda p: update(before[p.stack] + p.done, p.stack.removeprefix(session.prefix + "-")),
        )
    session.say(f"{len(artifacts)} stacks, {total} resources, IAM enforced")


def _running_total(sizes: list[int]) -> list[int]:
    return [sum(sizes[:index]) for index in range(len(sizes))]


def upload(session: Session, dataset: Path) -> None:
    """Upload the dataset version and the base model to the data bucket and set the parameter, as an operator does once."""
    s3, bucket = session.client("s3"), session.bucket("data")
    prefix = f"datasets/{session.summary.dataset['version']}"
    files = {f"{prefix}/{path.relative_to(dataset)}": path for path in sorted(dataset.rglob("*")) if path.is_file()}
    files |= {f"base-model/{path.name}": path for path in corpus.base_model_files()}
    for key, path in files.items():
        s3.upload_file(str(path), bucket, key)
    session.put_parameter("dataset", f"s3://{bucket}/{prefix}")
    session.say(f"dataset and base model (all-MiniLM-L6-v2) are in s3://{bucket}")


def tune(session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    """Run the tuning state machine and show its trials as they end.

    Raises:
        GatesRefused: no candidate passed.
        DemoFailed: anything else went wrong.
    """
    jobs = session.settings.tuning.max_jobs
    began = time.time()
    with session.progress("tuning", jobs) as update:

        def watch() -> None:
            done = [trial for trial in trials_since(session, began) if trial.status in ("Completed", "Stopped", "Failed")]
            best = max((trial.objective for trial in done if trial.objective is not None), default=None)
            text = "tuning" if best is None else f"tuning, best macro-F1 so far {best:.3f}"
            update(len(done), "evaluating the best two against people and baselines" if len(done) >= jobs else text)

        described = session.run("tuning", payload, watch=watch, seconds=900)
    session.summary.trials = trials_since(session, began)
    raise_if_refused(described)
    output = session.output_of(described)
    best = output["packages"][0]
    session.summary.best_trial = best["training_job"]
    session.say(f"{len(session.summary.trials)} trials; best on validation: macro-F1 {best['objective']:.3f} ({best['training_job']})")
    return output


def raise_if_refused(described: dict[str, Any]) -> None:
    """Raises GatesRefused with every reason, when that is how a tuning execution ended."""
    if described["status"] != "SUCCEEDED" and described.get("error", "").endswith("GatesRefused"):
        raise GatesRefused(_message(described.get("cause", "")))


def _message(cause: str) -> str:
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def trials_since(session: Session, began: float) -> list[Trial]:
    """The training jobs created since ``began``, in the order of their start."""
    sagemaker = session.client("sagemaker")
    summaries = sagemaker.list_training_jobs(MaxResults=100, SortBy="CreationTime", SortOrder="Ascending")["TrainingJobSummaries"]
    found = []
    for summary in summaries:
        if summary["CreationTime"].timestamp() < began - 1:
            continue
        job = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
        metrics = {metric["MetricName"]: metric["Value"] for metric in job.get("FinalMetricDataList", [])}
        end = job.get("TrainingEndTime")
        found.append(
            Trial(
                name=job["TrainingJobName"],
                status=job["TrainingJobStatus"],
                objective=metrics.get("validation:macro_f1"),
                hyperparameters={key: value.strip('"') for key, value in job["HyperParameters"].items()},
                seconds=round((end - job["CreationTime"]).total_seconds(), 1) if end else 0.0,
            )
        )
    return found


def evaluation_of(session: Session, package_arn: str) -> dict[str, Any]:
    """The evaluation report that a model package points at."""
    package = session.client("sagemaker").describe_model_package(ModelPackageName=package_arn)
    bucket, key = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].removeprefix("s3://").split("/", 1)
    report: dict[str, Any] = json.loads(session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return report


def read_scores(session: Session, packages: list[dict[str, Any]]) -> None:
    """Champion, challenger, baselines and human level from the reports of the evaluation jobs."""
    champion = evaluation_of(session, packages[0]["model_package_arn"])
    scores = {"champion": Score.of(champion["overall"])}
    if len(packages) > 1:
        scores["challenger"] = Score.of(evaluation_of(session, packages[1]["model_package_arn"])["overall"])
    for name in ("majority", "tfidf", "human_1", "human_3"):
        if champion["references"].get(name):
            scores[name] = Score.of(champion["references"][name])
    session.summary.scores, session.summary.evaluation = scores, champion
    session.summary.review_threshold = champion["review"]["threshold"]
    for name in ("champion", "tfidf", "human_1"):
        if name in scores:
            session.say(f"{name:>9}: accuracy {scores[name].accuracy.percent()}, macro-F1 {scores[name].macro_f1.value:.3f}")


def release(session: Session, packages: list[dict[str, Any]]) -> None:
    """Make the first release with the rollout state machine: the best candidate as champion, the second best as challenger.

    Raises:
        DemoFailed: the release did not come into place, with the reason.
    """
    release = {"champion": packages[0]["model_package_arn"], "challenger": packages[-1]["model_package_arn"], "reason": "first release"}
    with session.progress("starting the endpoint", None):
        session.output_of(session.run("rollout", release))
    endpoint = session.client("sagemaker").describe_endpoint(EndpointName=session.prefix)
    variants = ", ".join(
        f"{variant['VariantName']} {counted(variant['CurrentInstanceCount'], 'instance')} at weight {variant['CurrentWeight']:g}"
        for variant in endpoint["ProductionVariants"]
    )
    session.say(f"endpoint {endpoint['EndpointStatus']}: {variants}")


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def test_texts(dataset: Path) -> list[str]:
    """The texts of the frozen test set: nothing was trained on them."""
    return [row.text for row in read_rows(dataset / "test")]
