"""The first half of the demo: data, deployment, tuning, release."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from contracts.phrases import counted
from contracts.report.page import page as data_page
from contracts.report.serving import PREDICTIONS, at_fixed_threshold
from embedded_aws.tools import deployer
from local import assemblies
from local.demo.account import cost, next_steps
from local.demo.session import DemoFailed, Session
from local.demo.source import Source
from local.demo.summary import Score, Summary, Trial
from local.texts import corpus
from stacks.settings import settings_text
from stacks.synthesis import SynthesisFailed

DATA_REPORT = "data-report.html"
TUNING_SECONDS = 3_600
"""Longest time of a tuning: many times what two idle cores need, for others may keep the machine busy."""
VARIED = ("epochs", "layers", "learning_rate", "trained_layers")
"""Hyper-parameters that a search may vary."""
FEW_A_LABEL, MUCH_CUT, MUCH_UNKNOWN = 200, 0.1, 0.1
"""Training texts of one label, and shares of cut test texts and of unknown word pieces, that explain a model not better than TF-IDF."""


class GatesRefused(RuntimeError):
    """No candidate of a tuning passed the gates. This is an outcome of the demo, not a fault. The text has the reasons."""


def take_source(session: Session, source: Source, *, labels_shuffled: bool) -> None:
    """Make these texts the run's, and say what they are."""
    session.source, manifest = source, source.manifest
    session.summary.dataset = {"version": manifest.version, "rows": dict(manifest.rows), "labels": list(manifest.labels)}
    session.summary.source = {"name": source.name, "later": source.later.name, "drifts": source.later.drifts, "people": source.people}
    asked = {"person": source.person, "asked": session.settings.review.workers_per_task}
    session.summary.source |= {**asked, "read": dict(source.origin)}
    for line in source.said:
        session.say(line)
    if labels_shuffled:
        session.say("[yellow]labels of train and validation are shuffled on purpose: nothing can be learnt from them[/]")


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
        settings = session.output.resolve() / "settings.yaml"
        settings.write_text(settings_text(session.settings), encoding="utf-8")
        same = f"the settings in {settings.name}"
    try:
        with session.progress("synthesising", None):
            reused = assemblies.assembly(session.settings, output)
    except SynthesisFailed as error:
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
            on_progress=lambda p: update(before[p.stack] + p.done, p.stack.removeprefix(session.names.prefix + "-")),
        )
    session.say(f"{len(artifacts)} stacks, {total} resources, IAM enforced")


def _running_total(sizes: list[int]) -> list[int]:
    return [sum(sizes[:index]) for index in range(len(sizes))]


def upload(session: Session) -> None:
    """Upload the dataset version and the base model to the data bucket and set the parameter, as an operator does once."""
    s3, bucket, dataset = session.client("s3"), session.names.bucket("data"), session.source.dataset
    prefix = f"datasets/{session.source.manifest.version}"
    files = {f"{prefix}/{path.relative_to(dataset)}": path for path in sorted(dataset.rglob("*")) if path.is_file()}
    files |= {f"base-model/{path.name}": path for path in corpus.base_model_files(session.base_model)}
    for key, path in files.items():
        s3.upload_file(str(path), bucket, key)
    session.put_parameter("dataset", f"s3://{bucket}/{prefix}")
    name = session.base_model.name if session.base_model else "all-MiniLM-L6-v2"
    session.say(f"dataset and base model ({name}) are in s3://{bucket}")


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

        described = session.run("tuning", payload, watch=watch, seconds=TUNING_SECONDS)
    session.summary.trials = trials_since(session, began)
    if refused := refusal_of(described):
        raise GatesRefused(refused)
    output = session.output_of(described)
    best = output["packages"][0]
    session.summary.best_trial = best["training_job"]
    session.say(
        f"{counted(len(session.summary.trials), 'trial')}; best on validation: macro-F1 {best['objective']:.3f} ({best['training_job']})"
    )
    return output


def refusal_of(described: dict[str, Any]) -> str:
    """Every reason of the gates, when that is how a tuning execution ended; else nothing."""
    if described["status"] != "SUCCEEDED" and described.get("error", "").endswith("GatesRefused"):
        return _message(described.get("cause", ""))
    return ""


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


def _evaluation_place(session: Session, package_arn: str) -> tuple[str, str]:
    """Bucket and key of the evaluation report that a model package points at."""
    package = session.client("sagemaker").describe_model_package(ModelPackageName=package_arn)
    bucket, key = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].removeprefix("s3://").split("/", 1)
    return bucket, key


def _take_data_report(session: Session, package_arn: str) -> bool:
    """Put the evaluation's page about the data beside ours, with the trials; returns whether there is one."""
    bucket, key = _evaluation_place(session, package_arn)
    report = f"{key.rpartition('/')[0]}/report.json"
    if not session.client("s3").list_objects_v2(Bucket=bucket, Prefix=report).get("KeyCount", 0):
        return False
    content = json.loads(session.client("s3").get_object(Bucket=bucket, Key=report)["Body"].read())
    trials = [
        {
            "name": trial.name,
            "objective": trial.objective,
            "hyperparameters": {name: value for name, value in trial.hyperparameters.items() if name in VARIED},
            "seconds": trial.seconds,
        }
        for trial in session.summary.trials
    ]
    shown = {
        **content,
        "trials": trials,
        "cost": list(cost(session.settings, session.summary.trials, review_share=session.summary.evaluation["review"]["share"])),
        "next_steps": next_steps(session.settings, session.source.upload),
        **({"serving_review": session.summary.serving_review} if session.summary.serving_review else {}),
    }
    (session.output / DATA_REPORT).write_text(data_page(shown), encoding="utf-8")
    return True


def evaluation_of(session: Session, package_arn: str) -> dict[str, Any]:
    """The evaluation report that a model package points at."""
    bucket, key = _evaluation_place(session, package_arn)
    report: dict[str, Any] = json.loads(session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    return report


def _at_fixed_threshold(session: Session, package_arn: str, threshold: float) -> dict[str, Any]:
    """What the settings' threshold does with the test texts, by the champion's answers to them."""
    bucket, key = _evaluation_place(session, package_arn)
    body = session.client("s3").get_object(Bucket=bucket, Key=f"{key.rpartition('/')[0]}/{PREDICTIONS}")["Body"]
    return at_fixed_threshold(threshold, map(json.loads, body.iter_lines()))


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
    if session.settings.review.threshold != "model":
        session.summary.review_threshold = session.settings.review.threshold
        session.summary.serving_review = _at_fixed_threshold(session, packages[0]["model_package_arn"], session.settings.review.threshold)
    for name in ("champion", "tfidf", "human_1"):
        if name in scores:
            session.say(f"{name:>9}: accuracy {scores[name].accuracy.percent()}, macro-F1 {scores[name].macro_f1.value:.3f}")
    if session.source.origin:
        session.summary.verdict = verdict(session.summary)
        session.say(session.summary.verdict)
    if _take_data_report(session, packages[0]["model_package_arn"]):
        session.summary.data_report = DATA_REPORT
        session.say(f"classes, lengths, confusions, suspicious labels and more of the data: {session.output / DATA_REPORT}")


def verdict(summary: Summary) -> str:
    """Whether the model is better than TF-IDF with logistic regression on the same texts, and if not, why it may not be."""
    model, simple = summary.scores["champion"].macro_f1.value, summary.scores["tfidf"].macro_f1.value
    difference = (summary.evaluation.get("difference_to_tfidf") or {}).get("macro_f1") or {"low": model - simple, "high": model - simple}
    low, high = difference["low"], difference["high"]
    if low > 0:
        return f"the model beats TF-IDF with logistic regression: macro-F1 {model:.3f} against {simple:.3f}"
    unknown = float(summary.source.get("read", {}).get("unknown_pieces", 0.0))
    rows, cut = summary.dataset["rows"]["train"], (summary.evaluation.get("truncated") or {}).get("texts") or 0.0
    why = (
        [f"{rows} training texts are few for {len(summary.dataset['labels'])} labels"]
        if rows < FEW_A_LABEL * len(summary.dataset["labels"])
        else []
    )
    why += [f"{100 * cut:.0f} % of the test texts are cut, and TF-IDF reads them whole (tuning.max_length)"] if cut > MUCH_CUT else []
    if unknown > MUCH_UNKNOWN:
        why = [f"the base model does not know {100 * unknown:.0f} % of their word pieces, and another is needed (docs/own-texts.md)"]
    reason = " and ".join(why) or "single words tell these labels apart, or the base model does not know this language (docs/own-texts.md)"
    told = f"macro-F1 {model:.3f} against {simple:.3f}"
    if low <= 0 < high:
        return (
            f"the model is not shown to beat TF-IDF with logistic regression: {told}, and the difference is between {low:+.3f} and "
            f"{high:+.3f} (95 % interval); more test texts would show it, or {reason}"
        )
    return f"the model does not beat TF-IDF with logistic regression: {told}; {reason}"


def release(session: Session, packages: list[dict[str, Any]]) -> None:
    """Make the first release with the rollout state machine: the best candidate as champion, the second best as challenger.

    Raises:
        DemoFailed: the release did not come into place, with the reason.
    """
    release = {"champion": packages[0]["model_package_arn"], "challenger": packages[-1]["model_package_arn"], "reason": "first release"}
    with session.progress("starting the endpoint", None):
        session.output_of(session.run("rollout", release))
    endpoint = session.client("sagemaker").describe_endpoint(EndpointName=session.names.endpoint)
    variants = ", ".join(
        f"{variant['VariantName']} {counted(variant['CurrentInstanceCount'], 'instance')} at weight {variant['CurrentWeight']:g}"
        for variant in endpoint["ProductionVariants"]
    )
    session.say(f"endpoint {endpoint['EndpointStatus']}: {variants}")
