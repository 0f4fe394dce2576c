"""The deployed review and labelling stacks: from a request in the queue to a stored label, under their own roles."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_cdk import App
from botocore.config import Config
from deployed_app import DEV, NAMES, name_labels
from rich.console import Console
from typer.testing import CliRunner

from cli.main import app as command
from embedded_aws.testing.reviews import Portal
from embedded_aws.tools import deployer, launcher
from lambdas.common.review import Origin, ReviewReason, ReviewRequest
from local.demo import keep
from local.demo.session import Session
from local.demo.summary import Summary
from stacks.application import FEATURE_FLAGS
from stacks.foundation import FoundationStack
from stacks.labeling import LabelingStack
from stacks.review import ReviewStack

pytestmark = pytest.mark.slow

GOOD, BAD = "Sehr gut!", "悪い"
VOTES = {
    "good stuff": [GOOD, GOOD, GOOD],
    "could be worse": ["neutral", GOOD, "neutral"],
    "who knows": [GOOD, BAD, "neutral"],
    "bulk, clear": [BAD, BAD, BAD],
    "bulk, unclear": [BAD, GOOD, "neutral"],
    "bulk, predicted": [GOOD, GOOD, "neutral"],
}
"""Texts and votes made for this test, by the names that people see; the demo replays recorded ones."""


@dataclass
class Deployed:
    emulator: launcher.Emulator
    assembly: Path
    outputs: dict[str, dict[str, str]]

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.emulator.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def item(self, prediction_id: str) -> dict[str, Any]:
        table = boto3.resource(
            "dynamodb", endpoint_url=self.emulator.url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        ).Table(NAMES.predictions_table)
        found: dict[str, Any] = table.get_item(Key={"prediction_id": prediction_id}).get("Item", {})
        return found

    def ask(self, prediction_id: str, text: str) -> None:
        origin = Origin("champion", "m1", 0.6, "2026-11-23T10:00:00+00:00", 1_900_000_000)
        request = ReviewRequest(prediction_id, text, "positive", 0.4, ReviewReason.LOW_CONFIDENCE, 1, origin)
        sqs = self.client("sqs")
        queue = sqs.get_queue_url(QueueName=NAMES.queue("review-requests"))["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(asdict(request)))

    def tasks(self) -> list[dict[str, Any]]:
        """What waits for people."""
        with urllib.request.urlopen(f"{self.emulator.url}/_embedded/tasks", timeout=10) as response:  # noqa: S310  (the emulator on 127.0.0.1)
            found: list[dict[str, Any]] = json.loads(response.read())
            return found

    def dead_letters(self, queue: str) -> int:
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=NAMES.queue(f"{queue}-dlq"))["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])

    def denied(self) -> list[str]:
        decisions = (json.loads(line) for line in self.emulator.audit_file.read_text().splitlines())
        return [f"{one['principal']} {one['action']} {one['resource']}" for one in decisions if not one["allowed"]]


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    assembly, settings = tmp_path_factory.mktemp("review-loop"), DEV
    app = App(outdir=str(assembly / "cdk.out"), context=FEATURE_FLAGS, analytics_reporting=False)
    foundation, review, labeling = FoundationStack(app, settings), ReviewStack(app, settings), LabelingStack(app, settings)
    review.add_stack_dependency(foundation)
    labeling.add_stack_dependency(review)
    app.synth()
    emulator = launcher.start(assembly / "run", port=launcher.free_port(), time_scale=0.02)
    try:
        outputs = deployer.deploy(assembly / "cdk.out", emulator.url)
        body = json.dumps({"votes": VOTES}).encode()
        request = urllib.request.Request(f"{emulator.url}/_embedded/raters", body, {"Content-Type": "application/json"})  # noqa: S310  (the emulator on 127.0.0.1)
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  (the emulator on 127.0.0.1)
        made = Deployed(emulator, assembly / "cdk.out", outputs)
        name_labels(made.client, settings, {"positive": GOOD, "negative": BAD})
        yield made
    finally:
        emulator.stop()


@pytest.fixture(autouse=True)
def _every_role_had_its_grants(deployed: Deployed) -> Iterator[None]:
    """Holds for each test: nothing was denied, and no answer ended among the dead letters."""
    yield
    assert deployed.denied() == []
    assert (deployed.dead_letters("review-results"), deployed.dead_letters("a2i-ended")) == (0, 0)


def test_reviewers_can_sign_in_to_the_portal(deployed: Deployed) -> None:
    """Without its call-back the portal's client refuses every sign-in."""
    [workforce] = deployed.client("sagemaker").list_workforces()["Workforces"]
    names = deployed.outputs[NAMES.stack("review")]
    client = deployed.client("cognito-idp").describe_user_pool_client(UserPoolId=names["UserPoolId"], ClientId=names["UserPoolClientId"])
    found = client["UserPoolClient"]
    assert found["CallbackURLs"] == [f"https://{workforce['SubDomain']}/oauth2/idpresponse"]
    assert (found["AllowedOAuthFlowsUserPoolClient"], found["PreventUserExistenceErrors"]) == (True, "ENABLED")
    assert found["ClientSecret"]


def test_requests_become_labels_and_ground_truth(deployed: Deployed, wait_until: Callable[..., Any]) -> None:
    wanted = {"a" * 32: ("good stuff", "positive"), "b" * 32: ("could be worse", "neutral"), "c" * 32: ("who knows", None)}
    for prediction_id, (text, _) in wanted.items():
        deployed.ask(prediction_id, text)
    for prediction_id, (_, label) in wanted.items():
        wait_until(lambda one=prediction_id: deployed.item(one).get("review_state") == "reviewed")
        assert deployed.item(prediction_id).get("human_label") == label
    assert "tie" in deployed.item("c" * 32)["review_outcome"]
    bucket = NAMES.bucket("capture")
    keys = [one["Key"] for one in deployed.client("s3").list_objects_v2(Bucket=bucket, Prefix="ground-truth/")["Contents"]]
    labelled = sorted(key.rsplit("/", 1)[-1].removesuffix(".jsonl") for key in keys)
    assert [one for one in labelled if one in wanted] == ["a" * 32, "b" * 32]


def test_people_at_the_worker_page_make_a_label_in_their_own_time(
    deployed: Deployed, wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    prediction_id, text = "f" * 32, "a text that nobody has ever voted on"
    session = Session(
        deployed.emulator, DEV, tmp_path, Summary(seed=1, labels_shuffled=False, quick=True), Console(), outputs=deployed.outputs
    )
    keep.add_reviewers(session)
    names = keep.reviewers(session)
    deployed.ask(prediction_id, text)

    for name, label in zip(names, (GOOD, "neutral", GOOD), strict=True):
        assert deployed.item(prediction_id).get("human_label") is None
        portal = Portal(deployed)
        portal.sign_in(name, keep.PASSWORD)
        task = portal.take_about(text)
        held = next(one for one in deployed.tasks() if one["assigned"])
        assert held["assigned_seconds_left"][0] > 0.9 * DEV.review.task_time_limit_seconds, "an hour is an hour, whatever the time scale"
        assert held["seconds_left"] > 0.9 * DEV.review.task_availability_seconds
        assert portal.post("/worker/answers", {"task": task, "answer": {"category": {"label": label}}})[0] == 200

    wait_until(lambda: deployed.item(prediction_id).get("review_state") == "reviewed")
    item = deployed.item(prediction_id)
    assert item["human_label"] == "positive"
    assert float(item["agreement"]) == pytest.approx(2 / 3, abs=1e-3)


def test_a_stopped_review_is_a_dead_letter_and_a_redrive_asks_again(deployed: Deployed, wait_until: Callable[..., Any]) -> None:
    prediction_id = "d" * 32
    deployed.ask(prediction_id, "nobody has voted on this")
    wait_until(lambda: deployed.item(prediction_id).get("review_state") == "in_review")
    deployed.client("sagemaker-a2i-runtime").stop_human_loop(HumanLoopName=f"{prediction_id}-1")
    wait_until(lambda: deployed.item(prediction_id)["review_state"] == "dead_lettered")
    assert "stopped" in deployed.item(prediction_id)["review_outcome"]
    assert deployed.dead_letters("review-requests") == 1
    sqs = deployed.client("sqs")
    urls = {name: sqs.get_queue_url(QueueName=NAMES.queue(name))["QueueUrl"] for name in ("review-requests", "review-requests-dlq")}
    [message] = sqs.receive_message(QueueUrl=urls["review-requests-dlq"])["Messages"]
    sqs.send_message(QueueUrl=urls["review-requests"], MessageBody=message["Body"])
    sqs.delete_message(QueueUrl=urls["review-requests-dlq"], ReceiptHandle=message["ReceiptHandle"])
    wait_until(lambda: deployed.item(prediction_id).get("review_id") == f"{prediction_id}-2")
    assert deployed.item(prediction_id)["review_state"] == "in_review"


def test_a_bulk_job_labels_texts_and_predictions_once(deployed: Deployed, wait_until: Callable[..., Any]) -> None:
    prediction_id = "e" * 32
    deployed.client("dynamodb").put_item(
        TableName=NAMES.predictions_table,
        Item={
            "prediction_id": {"S": prediction_id},
            "text": {"S": "bulk, predicted"},
            "review_state": {"S": "not_required"},
            "created_at": {"S": "2026-11-23T10:00:00+00:00"},
            "expires_at": {"N": "1900000000"},
            "attempt": {"N": "1"},
        },
    )
    rows = [{"source": "bulk, clear"}, {"source": "bulk, unclear"}, {"source": "bulk, predicted", "prediction-id": prediction_id}]
    bucket = NAMES.bucket("data")
    deployed.client("s3").put_object(
        Bucket=bucket, Key="manifests/one.jsonl", Body="".join(json.dumps(row) + "\n" for row in rows).encode()
    )

    def label(name: str, manifest_uri: str) -> dict[str, Any]:
        steps = deployed.client("stepfunctions")
        machine = deployed.outputs[NAMES.stack("labeling")]["StateMachineArn"]
        arn = steps.start_execution(stateMachineArn=machine, input=json.dumps({"manifest_uri": manifest_uri, "name": name}))["executionArn"]
        wait_until(lambda: steps.describe_execution(executionArn=arn)["status"] != "RUNNING")
        ended: dict[str, Any] = steps.describe_execution(executionArn=arn)
        return ended

    manifest = f"s3://{bucket}/manifests/one.jsonl"
    nothing = {"labels_stored": 0, "undecided": 0, "already_labeled": 0, "failed": 0, "forgotten": 0, "unusable": 0, "problems": []}
    assert json.loads(label("first", manifest)["output"]) == {**nothing, "labels_stored": 2, "undecided": 1}
    assert deployed.item(prediction_id)["human_label"] == "positive"
    assert json.loads(label("second", manifest)["output"]) == {**nothing, "undecided": 1, "already_labeled": 2}
    third = label("third", "s3://somewhere-else/one.jsonl")
    assert third["error"] == "InvalidInput"
    refused = label_file(deployed, "redrive", third["executionArn"], "--yes")
    said = " ".join(refused[1].split())
    assert (refused[0], "would fail again at once. Its cause: The input must be" in said) == (2, True), refused
    jobs = len(deployed.client("sagemaker").list_labeling_jobs()["LabelingJobSummaryList"])
    deployed.client("s3").put_object(Bucket=bucket, Key="manifests/bad.jsonl", Body=b'{"source": "fine"}\n{"source": "a\\u0000b"}\n')
    for name, uri, why in (
        ("four th", manifest, "name 'four th' must have 1 to 48 characters"),
        ("fifth", f"s3://{bucket}/manifests/bad.jsonl", "line 2: source has U+0000 at position 1"),
        ("sixth", f"s3://{bucket}/manifests/none.jsonl", "does not exist"),
    ):
        refused = label(name, uri)
        assert (refused["status"], refused["error"]) == ("FAILED", "InvalidInput")
        assert why in refused["cause"]
    assert len(deployed.client("sagemaker").list_labeling_jobs()["LabelingJobSummaryList"]) == jobs


def rated(deployed: Deployed, texts: Iterable[str]) -> None:
    """People find every second text good, and the others bad."""
    votes = {text: [(GOOD, BAD)[number % 2]] * 3 for number, text in enumerate(texts)}
    request = urllib.request.Request(  # noqa: S310  (the emulator on 127.0.0.1)
        f"{deployed.emulator.url}/_embedded/raters", json.dumps({"votes": votes}).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310  (the emulator on 127.0.0.1)


def label_file(deployed: Deployed, *arguments: str) -> tuple[int, str]:
    """``python -m cli label`` with these arguments: its exit code, and what it prints."""
    environment = {"AWS_ENDPOINT_URL": deployed.emulator.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    done = CliRunner().invoke(command, ["label", *arguments], env=environment)
    return done.exit_code, done.stdout if done.exit_code == 0 else done.output


def test_the_command_has_the_texts_of_a_file_labelled(deployed: Deployed, tmp_path: Path) -> None:
    texts = [" ".join(hashlib.sha256(str(number).encode()).hexdigest()[:24]) for number in range(40)]  # no two are nearly the same
    rated(deployed, texts)
    file = tmp_path / "texts.csv"
    file.write_text("\n".join(["text", *texts, texts[0]]) + "\n", encoding="utf-8")
    arguments = (str(file), "--out", str(tmp_path / "out"), "--yes", "--every", "0.2", "--json")
    code, said = label_file(deployed, *arguments)
    assert code == 0, said
    ended = json.loads(said)
    assert (ended["texts"], ended["repeated"], ended["labelled"], ended["open"], ended["problems"]) == (40, 1, 40, 0, [])
    assert ended["by_label"] == {"negative": 20, "positive": 20}
    assert (tmp_path / "out" / "datasets" / ended["dataset_version"] / "manifest.json").is_file()
    assert len((tmp_path / "out" / "output.manifest").read_text(encoding="utf-8").splitlines()) == 40
    jobs = len(deployed.client("sagemaker").list_labeling_jobs(NameContains="texts")["LabelingJobSummaryList"])
    assert json.loads(label_file(deployed, *arguments)[1]) == ended, "once more asks nobody"
    assert len(deployed.client("sagemaker").list_labeling_jobs(NameContains="texts")["LabelingJobSummaryList"]) == jobs == 1


def test_an_execution_that_failed_is_redriven_and_the_same_command_goes_on(
    deployed: Deployed, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    texts, steps = ["one to redrive", "another to redrive"], deployed.client("stepfunctions")
    rated(deployed, texts)
    key, bucket = "manifests/again-1.jsonl", NAMES.bucket("data")
    given = json.dumps({"name": "again-1", "manifest_uri": f"s3://{bucket}/{key}"})
    machine = deployed.outputs[NAMES.stack("labeling")]["StateMachineArn"]
    arn = steps.start_execution(stateMachineArn=machine, name="again-1", input=given)["executionArn"]
    wait_until(lambda: steps.describe_execution(executionArn=arn)["status"] == "FAILED")
    unsure = label_file(deployed, "redrive", "again-1")
    assert (unsure[0], "does not exist: upload the manifest" in unsure[1]) == (2, True), unsure
    lines = "".join(json.dumps({"source": text}) + "\n" for text in texts)
    deployed.client("s3").put_object(Bucket=bucket, Key=key, Body=lines.encode())
    code, said = label_file(deployed, "redrive", "again-1", "--yes")
    assert (code, "labelling again-1 goes on" in said) == (0, True), said
    assert label_file(deployed, "redrive", "again-1", "--yes")[0] == 2, "it runs"
    file = tmp_path / "again.csv"
    file.write_text("\n".join(["text", *texts]) + "\n", encoding="utf-8")
    _, said = label_file(deployed, str(file), "--out", str(tmp_path / "out"), "--yes", "--every", "0.2")
    assert "2 labelled, 0 undecided, 0 without an answer, 0 open" in said
    assert steps.describe_execution(executionArn=arn)["redriveCount"] == 1


def test_the_worker_page_changes_with_its_guidelines_and_goes_back(
    deployed: Deployed, wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    def pages() -> tuple[str, str]:
        ssm = deployed.client("ssm")
        found = [ssm.get_parameter(Name=NAMES.parameter(name)) for name in ("human-task-ui-arn", "flow-definition-arn")]
        page, flow = (one["Parameter"]["Value"] for one in found)
        return page, flow

    first = pages()
    said = DEV.review.guidelines.model_copy(update={"question": "Read it twice. Which label fits it?"})
    other = DEV.model_copy(update={"review": DEV.review.model_copy(update={"guidelines": said})})
    app = App(outdir=str(tmp_path / "cdk.out"), context=FEATURE_FLAGS, analytics_reporting=False)
    ReviewStack(app, other)
    app.synth()

    deployer.deploy(tmp_path / "cdk.out", deployed.emulator.url)
    second = pages()
    deployer.deploy(deployed.assembly, deployed.emulator.url, [NAMES.stack("review")])

    assert not set(first) & set(second)
    assert pages() == first
    prediction_id = "9" * 32  # of this test alone: a prediction that is reviewed already would ask nobody
    deployed.ask(prediction_id, "good stuff")
    wait_until(lambda: deployed.item(prediction_id).get("review_state") == "reviewed")
    loop = deployed.client("sagemaker-a2i-runtime").describe_human_loop(HumanLoopName=f"{prediction_id}-1")
    assert loop["FlowDefinitionArn"] == first[1]
