"""The second half of the demo: predictions, people, drift, retraining, rollout."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local import corpus
from local.demo.session import DemoFailed, Session
from local.demo.summary import DriftPoint, Interval, WeightPoint
from local.demo.traffic import BackgroundTraffic, send
from model_code.data import Row, write_dataset
from model_code.vader import LABELS, RatedText

AMAZON_TEXTS = 300
TWEETS_BATCH = 50
MOST_TWEETS = 1_200
TWEETS_HELD_OUT = 600
REVIEW_SECONDS = 120
RETRAINING_SECONDS = 400


def load_raters(session: Session, rated: Sequence[RatedText], *, seed: int) -> None:
    """Give the replayed raters their recorded votes: one list a text, drawn without replacement."""
    votes = {item.row.text: list(item.raters) for item in rated}
    body = json.dumps({"votes": votes, "seed": seed, "delay_seconds": 0}).encode()
    request = urllib.request.Request(f"{session.emulator.url}/_reviewloop/raters", data=body, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        known = json.loads(response.read())["texts"]
    session.say(f"replayed raters know the recorded votes of {known} texts")


def predict(session: Session, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Real calls of POST /predict."""
    with session.progress("predicting", len(texts)) as update:
        answers = send(session, texts, update)
    asked = Counter(answer["review"]["status"] for answer in answers)
    session.summary.confidences = [answer["confidence"] for answer in answers]
    rate = asked["requested"] / len(answers)
    session.summary.review_rate = round(rate, 4)
    variants = Counter(answer["variant"] for answer in answers)
    session.say(
        f"{len(answers)} answered ({', '.join(f'{n} by {v}' for v, n in variants.most_common())}); "
        f"{asked['requested']} sent to people ({100 * rate:.0f} %)"
    )
    return answers


def count_states(session: Session) -> dict[str, int]:
    """Predictions by review state, from the table itself."""
    counts: Counter[str] = Counter()
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=f"{session.prefix}-predictions", ProjectionExpression="review_state, human_label")
    )
    for page in pages:
        for item in page["Items"]:
            counts[item["review_state"]["S"]] += 1
            counts["labelled"] += "human_label" in item
    return dict(counts)


def wait_for_reviews(session: Session) -> None:
    """Wait until no review is open; what stays open counts as it is."""
    deadline = time.monotonic() + REVIEW_SECONDS
    states = count_states(session)
    total = states.get("requested", 0) + states.get("in_review", 0)
    with session.progress("people answer", total) as update:
        while True:
            states = count_states(session)
            waiting = states.get("requested", 0) + states.get("in_review", 0)
            update(max(0, total - waiting))
            if not waiting or time.monotonic() > deadline:
                break
            time.sleep(0.5)
    agreements = [float(item["agreement"]["N"]) for item in _reviewed(session)]
    agreement = sum(agreements) / len(agreements) if agreements else None
    session.summary.reviewer_agreement = agreement
    session.say(
        f"{states.get('reviewed', 0)} reviewed by {session.settings.review.workers_per_task} replayed raters each, "
        f"{states.get('labelled', 0)} labels, {waiting} still open, {states.get('dead_lettered', 0)} dead-lettered"
        + ("" if agreement is None else f"; raters agree {100 * agreement:.0f} %")
    )


def _reviewed(session: Session) -> list[dict[str, Any]]:
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=f"{session.prefix}-predictions",
            FilterExpression="review_state = :reviewed",
            ExpressionAttributeValues={":reviewed": {"S": "reviewed"}},
        )
    )
    return [item for page in pages for item in page["Items"]]


# -- drift ---------------------------------------------------------------------------------------------


def assess_drift(session: Session, domain: str, texts_sent: int) -> DriftPoint:
    """Run the drift check as its schedule would, and read score and alarm."""
    response = session.client("lambda").invoke(FunctionName=f"{session.prefix}-detect-drift", Payload=b"{}")
    result = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        raise DemoFailed(f"the drift check failed: {result}")
    time.sleep(1.0)  # one scaled alarm evaluation
    alarms = session.client("cloudwatch").describe_alarms(AlarmNames=[f"{session.prefix}-drift"])["MetricAlarms"]
    point = DriftPoint(domain, texts_sent, result.get("score"), result.get("values", {}), alarms[0]["StateValue"])
    session.summary.drift.append(point)
    return point


def drift_to_tweets(session: Session, tweets: Sequence[str]) -> int:
    """Tweets instead of reviews, a batch at a time, until the alarm rings and enough labels are there; returns how many."""
    wanted = session.settings.retraining.min_new_labels
    sent, labels = 0, 0
    with session.progress("tweets", None) as update:
        while sent < min(MOST_TWEETS, len(tweets)):
            send(session, tweets[sent : sent + TWEETS_BATCH])
            sent += TWEETS_BATCH
            if session.summary.drift_detected_after is None:
                time.sleep(1.5)  # capture is flushed about once a second
                point = assess_drift(session, "tweets", sent)
                if point.alarm == "ALARM":
                    session.summary.drift_detected_after = sent
                    session.say(f"[bold]drift alarm[/] after {sent} tweets: score {point.score:.2f} (1 is the champion's own threshold)")
            labels = count_states(session).get("labelled", 0)
            update(sent, f"tweets sent {sent}, labels {labels} of {wanted}")
            if session.summary.drift_detected_after is not None and labels >= wanted:
                break
    if session.summary.drift_detected_after is None:
        raise DemoFailed(f"{sent} tweets raised no drift alarm: see drift in summary.json")
    session.say(f"{sent} tweets sent; {labels} human labels are there")
    return sent


# -- retraining and rollout ------------------------------------------------------------------------


def retrain(session: Session, traffic_texts: Sequence[str]) -> dict[str, Any]:
    """Let the retraining run to its end, rollout included, while callers go on; returns its output."""
    functions = session.client("stepfunctions")
    arn = _running_retraining(session) or session.start("retraining", {"reason": "enough labels after the drift alarm"})
    began = time.monotonic()
    rollout_began: float | None = None
    with BackgroundTraffic(session, traffic_texts) as traffic, session.progress("retraining", None) as update:
        while True:
            described = session.execution(arn)
            now = time.monotonic()
            rollouts = functions.list_executions(stateMachineArn=session.machine_arn("rollout"), statusFilter="RUNNING")["executions"]
            if rollouts and rollout_began is None:
                rollout_began = now
            if rollout_began is not None:
                _record_weights(session, now - rollout_began)
            update(int(now - began), "rolling out" if rollouts else "retraining on the new labels")
            if described["status"] != "RUNNING":
                break
            if now - began > RETRAINING_SECONDS:
                raise DemoFailed(f"the retraining still runs after {RETRAINING_SECONDS} s: see {session.emulator.log_file}")
            time.sleep(0.4)
    output = session.output_of(described)
    session.summary.retraining = {**output, "callers_answered": len(traffic.answers), "callers_failed": len(traffic.failures)}
    if "skipped" in output:
        raise DemoFailed(f"the retraining was skipped: {output['skipped']}")
    session.summary.rollout = output["rollout"]
    session.say(f"new dataset version {output['dataset_version']}, {len(output['packages'])} new model(s)")
    session.say(f"[bold]{output['rollout']['outcome']}[/]: {output['rollout']['reason']}")
    session.say(f"{len(traffic.answers)} callers were answered meanwhile, {len(traffic.failures)} were not")
    return output


def _running_retraining(session: Session) -> str | None:
    found = session.client("stepfunctions").list_executions(stateMachineArn=session.machine_arn("retraining"), statusFilter="RUNNING")
    executions = found["executions"]
    return executions[0]["executionArn"] if executions else None


def _record_weights(session: Session, seconds: float) -> None:
    endpoint = session.client("sagemaker").describe_endpoint(EndpointName=session.prefix)
    weights = {variant["VariantName"]: variant["CurrentWeight"] for variant in endpoint["ProductionVariants"]}
    session.summary.weights.append(WeightPoint(round(seconds, 1), weights["champion"], weights["challenger"]))


def compare_models(session: Session, models: tuple[str, str], domains: dict[str, Sequence[Row]], train: Sequence[Row]) -> None:
    """Old and new model (package ARNs) on the same held-out texts: one evaluation job a domain, as the tuning runs them."""
    for domain, rows in domains.items():
        folder = session.output / "comparison" / domain
        manifest = write_dataset(folder, {"train": train, "validation": train[:50], "test": rows}, LABELS)
        report = _evaluate(session, folder, f"comparison-{domain}-{manifest.version}", models)
        pair = {"before": Interval.of(report["references"]["champion"]["accuracy"]), "after": Interval.of(report["overall"]["accuracy"])}
        setattr(session.summary, "tweets" if domain == "tweets" else "amazon_after", pair)
        gain = Interval.of(report["difference_to_champion"]["accuracy"])
        session.say(
            f"{domain}: accuracy {100 * pair['before'].value:.1f} % before, {100 * pair['after'].value:.1f} % after: "
            f"{100 * gain.value:+.1f} points ({100 * gain.low:+.1f} to {100 * gain.high:+.1f}) on {len(rows)} held-out texts"
        )


def _evaluate(session: Session, folder: Path, name: str, models: tuple[str, str]) -> dict[str, Any]:
    """An evaluation job with the definition of the last one that the tuning ran, on other texts."""
    sagemaker, s3 = session.client("sagemaker"), session.client("s3")
    prefix = f"datasets/{name}"
    for path in folder.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), session.bucket("data"), f"{prefix}/{path.relative_to(folder)}")
    last = sagemaker.list_processing_jobs(SortBy="CreationTime", SortOrder="Descending", MaxResults=1)["ProcessingJobSummaries"][0]
    job = sagemaker.describe_processing_job(ProcessingJobName=last["ProcessingJobName"])
    sources = {
        "model": _model_uri(session, models[1]),
        "champion": _model_uri(session, models[0]),
        "dataset": f"s3://{session.bucket('data')}/{prefix}/",
    }
    template = next(item for item in job["ProcessingInputs"] if item["InputName"] == "code")
    inputs = [template]
    for input_name, uri in sources.items():
        source = {**template["S3Input"], "S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{input_name}"}
        inputs.append({"InputName": input_name, "S3Input": source})
    output_uri = f"s3://{session.bucket('models')}/evaluations/{name}"
    outputs = job["ProcessingOutputConfig"]
    outputs["Outputs"][0]["S3Output"]["S3Uri"] = output_uri
    sagemaker.create_processing_job(
        ProcessingJobName=f"{session.prefix}-{name}"[:63],
        RoleArn=job["RoleArn"],
        AppSpecification=job["AppSpecification"],
        ProcessingInputs=inputs,
        ProcessingOutputConfig=outputs,
        ProcessingResources=job["ProcessingResources"],
        NetworkConfig=job["NetworkConfig"],
    )
    with session.progress(f"evaluating on {name.split('-')[1]}", None):
        while True:
            described = sagemaker.describe_processing_job(ProcessingJobName=f"{session.prefix}-{name}"[:63])
            if described["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped"):
                break
            time.sleep(0.5)
    if described["ProcessingJobStatus"] != "Completed":
        raise DemoFailed(f"the comparison {name} ended {described['ProcessingJobStatus']}: {described.get('FailureReason', '')}")
    bucket, key = output_uri.removeprefix("s3://").split("/", 1)
    report: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=f"{key}/evaluation.json")["Body"].read())
    return report


def _model_uri(session: Session, package_arn: str) -> str:
    package = session.client("sagemaker").describe_model_package(ModelPackageName=package_arn)
    uri: str = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    return uri


def account(session: Session, answered: int) -> None:
    """Every answered prediction against the states in the table: nothing may be unaccounted for."""
    states = count_states(session)
    known = ("not_required", "requested", "in_review", "reviewed", "dead_lettered")
    predictions = {"accepted": answered, **{state: states.get(state, 0) for state in known}}
    predictions["unaccounted"] = answered - sum(predictions[state] for state in known)
    session.summary.predictions = predictions
    session.say(", ".join(f"{count} {state.replace('_', ' ')}" for state, count in predictions.items()))


def tweets_by_use(seed: int) -> tuple[list[RatedText], list[Row]]:
    """Tweets to send, and held-out ones that are never sent: disjoint, drawn at random."""
    rated = corpus.rated_texts("tweets")
    random.Random(seed).shuffle(rated)  # noqa: S311  (a repeatable draw)
    return rated[TWEETS_HELD_OUT:], [item.row for item in rated[:TWEETS_HELD_OUT]]
