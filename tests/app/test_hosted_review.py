"""The hosted review service as it is deployed (``settings/newacct.yaml``): people at its page, through its public address, make labels."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aws_cdk import App
from deployed_app import DeployedApp, name_labels
from typer.testing import CliRunner

from cli.console import FAILED
from cli.exit_codes import ExitCode
from cli.main import app as commands
from contracts.amendments import Known
from contracts.dataset import Row
from contracts.groups import group_of
from embedded_aws.tools import deployer, launcher
from lambdas.common.review import Origin, ReviewReason, ReviewRequest
from lambdas.common.split_side import side_of
from lambdas.retraining.freeze_dataset.versions import DatasetVersions
from local.demo.people_page import Reviewer, Visitor
from stacks.application import FEATURE_FLAGS
from stacks.foundation import FoundationStack
from stacks.labeling import LabelingStack
from stacks.names import LEADS, REVIEWERS
from stacks.review import ReviewStack
from stacks.settings import load_settings
from stacks.settings.review import AdaptiveSettings, AnswersSettings, MailSettings

pytestmark = pytest.mark.slow

NEW_ACCOUNT = load_settings(launcher.ROOT / "settings" / "newacct.yaml")
PASSWORD = "Correct-horse-77"


class Hosted(DeployedApp):
    """The stacks foundation and review."""

    @property
    def page_url(self) -> str:
        return self.outputs[self.names.stack("review")]["ReviewPageUrl"]

    @property
    def pool(self) -> str:
        return self.outputs[self.names.stack("review")]["UserPoolId"]

    def ask(
        self,
        prediction_id: str,
        text: str,
        subject: str | None = None,
        reason: ReviewReason = ReviewReason.LOW_CONFIDENCE,
        confidence: float = 0.4,
    ) -> None:
        """The model said *positive*. With 0.4, one person who agrees does not make that sure."""
        origin = Origin("champion", "m1", 0.6, "2026-11-23T10:00:00+00:00", 1_900_000_000, subject)
        request = ReviewRequest(prediction_id, text, "positive", confidence, reason, 1, origin)
        sqs = self.client("sqs")
        queue = sqs.get_queue_url(QueueName=self.names.queue("review-requests"))["QueueUrl"]
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(asdict(request)))

    def invite(self, name: str, *groups: str) -> str:
        cognito = self.client("cognito-idp")
        cognito.admin_create_user(UserPoolId=self.pool, Username=name, MessageAction="SUPPRESS")
        cognito.admin_set_user_password(UserPoolId=self.pool, Username=name, Password=PASSWORD, Permanent=True)
        for group in groups:
            cognito.admin_add_user_to_group(UserPoolId=self.pool, Username=name, GroupName=group)
        return name

    def people(self, *arguments: str) -> tuple[int, str]:
        return self.command("review", "people", *arguments)

    def command(self, *arguments: str) -> tuple[int, str]:
        """A console command -> exit code and output."""
        variables = {
            "AWS_ENDPOINT_URL": self.emulator.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_PROFILE": None,
        }
        done = CliRunner().invoke(commands, [*arguments, "--stage", self.settings.stage], env=variables)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout if "--json" in arguments else done.output

    def listed(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in json.loads(self.people("list", "--json")[1])}

    def mails(self, address: str) -> int:
        """How many were sent to an address."""
        with urllib.request.urlopen(f"{self.emulator.url}/_ministack/ses/messages") as answer:  # noqa: S310  (http on 127.0.0.1)
            accounts = json.load(answer)["messages"]
        return sum(address in mail["To"] for mails in accounts.values() for mail in mails)

    def age_sessions(self) -> None:
        """The page asks the user pool again about everybody who is signed in."""
        table = self.client.resource("dynamodb").Table(self.names.review_tasks_table)
        for item in table.scan()["Items"]:
            if item["sk"] == "session":
                key = {"pk": item["pk"], "sk": item["sk"]}
                table.update_item(Key=key, UpdateExpression="SET checked_at = :long_ago", ExpressionAttributeValues={":long_ago": 0})

    def task_items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.resource("dynamodb").Table(self.names.review_tasks_table).scan()["Items"]
        return found

    def make_answers_final(self) -> None:
        """Nobody can take an answer back any more, and the sweep sees it."""
        table = self.client.resource("dynamodb").Table(self.names.review_tasks_table)
        for item in self.task_items():
            if item["sk"] == "task" and item["state"] == "open":
                table.put_item(Item={**item, "undo": 0, "due_at": "0" * 15})

    def reviewer(self, name: str) -> Reviewer:
        """Somebody new who is signed in."""
        person = Reviewer(Visitor(self.emulator.port), self.page_url)
        person.sign_in(self.invite(name, REVIEWERS), PASSWORD)
        return person

    def sweep(self) -> None:
        self.invoke("sweep")

    def invoke(self, function: str, event: Mapping[str, Any] | None = None) -> str:
        answer = self.client("lambda").invoke(FunctionName=self.names.function(function), Payload=json.dumps(event or {}).encode())
        said = answer["Payload"].read().decode()
        assert "FunctionError" not in answer, said
        return str(said)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    folder = tmp_path_factory.mktemp("hosted-review")
    # Every review brings a gold task once there are gold texts, and a mail comes at once: the settings themselves allow neither.
    mail = MailSettings.model_construct(addresses=("reviewers@example.com",), after_minutes=0, every_hours=24)
    answers = AnswersSettings(adaptive=AdaptiveSettings())
    review = NEW_ACCOUNT.review.model_copy(update={"undo_seconds": 1, "gold_share": 1.0, "mail": mail, "answers": answers})
    settings = NEW_ACCOUNT.model_copy(update={"review": review})
    app = App(outdir=str(folder / "cdk.out"), context=FEATURE_FLAGS, analytics_reporting=False)
    foundation = FoundationStack(app, settings)
    for stack in (ReviewStack(app, settings), LabelingStack(app, settings)):
        stack.add_stack_dependency(foundation)
    app.synth()
    emulator = launcher.start(folder / "run", port=launcher.free_port(), time_scale=0.02)
    try:
        outputs = deployer.deploy(folder / "cdk.out", emulator.url)
        made = Hosted(emulator, settings, folder / "cdk.out", outputs)
        name_labels(made.client, settings, {"positive": "Good", "negative": "Bad"})
        yield made
    finally:
        emulator.stop()


@pytest.fixture(autouse=True)
def _every_role_had_its_grants(hosted: Hosted) -> Iterator[None]:
    """Holds for each test: nothing was denied, and no answer ended among the dead letters."""
    yield
    assert hosted.denied() == []
    assert hosted.dead_letters("review-results") == 0


def elsewhere(person: Reviewer) -> Visitor:
    """The person's browser with a new connection: the server ends one that stands idle for long."""
    return Visitor(person.visitor.port, person.visitor.cookies)


def state_of(person: Reviewer, wait_until: Callable[..., Any]) -> dict[str, Any]:
    """The page's state once there is a task."""
    found: dict[str, Any] = wait_until(lambda: state if (state := person.next())["task"] else None)
    return found


def test_two_people_who_agree_make_a_label_and_one_takes_an_answer_back(hosted: Hosted, wait_until: Callable[..., Any]) -> None:
    prediction_id, text = "a" * 32, "it's <b>good</b> & cheap"
    hosted.ask(prediction_id, text)
    wait_until(lambda: hosted.record(prediction_id).get("review_state") == "in_review")
    ann, bob = hosted.reviewer("ann"), hosted.reviewer("bob")
    task = state_of(ann, wait_until)["task"]["id"]
    assert ann.text(task) == text
    state = ann.answer(task, "Bad")
    assert (state["task"], state["answered"]) == (None, 1)
    status, state = ann.post("undos", {"task": task})
    assert (status, state["task"]["id"], state["task"]["earlier"]) == (200, task, {"category": {"label": "Bad"}})
    ann.answer(task, "Good")
    assert state_of(bob, wait_until)["task"]["id"] == task
    bob.answer(task, "Good")
    assert ann.post("answers", {"task": task, "answer": {"category": {"label": "Bad"}}})[0] == 409
    wait_until(lambda: hosted.sweep() or hosted.record(prediction_id).get("review_state") == "reviewed")
    record = hosted.record(prediction_id)
    assert (record["human_label"], record["votes"]) == ("positive", {"positive": 2})
    found = hosted.client("s3").list_objects_v2(Bucket=hosted.names.bucket("review"), Prefix="hosted/")["Contents"]
    [key] = [one["Key"] for one in found if prediction_id in one["Key"]]
    document = json.loads(hosted.client("s3").get_object(Bucket=hosted.names.bucket("review"), Key=key)["Body"].read())
    assert [one["answerContent"] for one in document["humanAnswers"]] == [{"category": {"label": "Good"}}] * 2


def test_the_page_needs_its_token_its_session_and_its_size(hosted: Hosted) -> None:
    eve = hosted.reviewer("eve")
    value = {"task": "0" * 32, "answer": {}}
    assert eve.post("answers", value)[0] == 409
    assert eve.visitor.json(f"{eve.page_url}/answers", "forged", value)[0] == 403
    assert eve.post("answers", {**value, "more": "x" * 70_000})[0] == 413
    stranger = Reviewer(Visitor(hosted.emulator.port), hosted.page_url)
    assert stranger.visitor.json(f"{hosted.page_url}/next", "")[0] == 401
    stolen = Visitor(hosted.emulator.port)
    stolen.cookies = {host: {**jar, "__Host-session": "x" * 43} for host, jar in eve.visitor.cookies.items() if "__Host-session" in jar}
    assert stolen.json(f"{hosted.page_url}/next", eve.csrf)[0] == 401


def test_who_is_in_no_group_is_told_and_who_signs_out_is_out(hosted: Hosted) -> None:
    hosted.invite("outsider")
    visitor = Visitor(hosted.emulator.port)
    with pytest.raises(Exception, match="is in no team"):
        Reviewer(visitor, hosted.page_url).sign_in("outsider", PASSWORD)
    ida = hosted.reviewer("ida")
    page = ida.visitor.submit(ida.visitor.get(hosted.page_url))
    assert "You are signed out" in page.text
    assert ida.visitor.json(f"{hosted.page_url}/next", ida.csrf)[0] == 401
    assert "__Host-session" not in {name for jar in ida.visitor.cookies.values() for name in jar}


def test_a_lead_who_answers_nothing_sees_what_waits_and_releases_a_task(hosted: Hosted, wait_until: Callable[..., Any]) -> None:
    hosted.ask("e" * 32, "a text that somebody keeps", reason=ReviewReason.AUDIT_SAMPLE)
    lou = hosted.reviewer("lou")
    task = state_of(lou, wait_until)["task"]["id"]
    assert lou.post("flags", {"task": task, "note": "in two languages"})[0] == 200
    hosted.invite("lea", LEADS)
    lead = Reviewer(Visitor(hosted.emulator.port), hosted.page_url)
    lead.sign_in("lea", PASSWORD)
    assert lead.next()["task"] is None
    assert "<h1>Your teams</h1>" in lead.visitor.get(f"{hosted.page_url}/lead").text
    status, seen = lead.visitor.json(f"{hosted.page_url}/lead/overview", lead.csrf)
    held = {one["id"]: [name for name, _ in one["holders"]] for one in seen["queue"]}
    assert (status, held[task], [one["note"] for one in seen["flags"]]) == (200, ["lou"], ["in two languages"])
    status, seen = lead.post("lead/released", {"task": task})
    assert (status, [one["holders"] for one in seen["queue"] if one["id"] == task]) == (200, [[]])
    assert lou.post("answers", {"task": task, "answer": {"category": {"label": "Good"}}})[0] == 409
    status, seen = lead.post("lead/disputes", {"task": task, "note": "ask one more"})
    assert (status, [one["wanted"] for one in seen["queue"] if one["id"] == task]) == (200, [3])
    for remark in (*seen["flags"], *seen["disputes"]):
        status, seen = lead.post("lead/closed", {"remark": remark["id"]})
    assert (status, seen["flags"], seen["disputes"]) == (200, [], [])
    assert lou.visitor.json(f"{hosted.page_url}/lead/overview", lou.csrf)[0] == 404, "who leads nobody learns nothing"


def test_the_address_is_one_domain_with_its_headers(hosted: Hosted) -> None:
    visitor = Visitor(hosted.emulator.port)
    assert visitor.get(f"{hosted.page_url}/assets/worker.css").status == 200
    assert visitor.get(f"{hosted.page_url}/nothing").status == 401
    assert f"//{hosted.names.sign_in_domain}." in visitor.get(hosted.page_url.removesuffix("worker")).url, "the sign-in follows"


def test_people_come_and_go_by_commands(hosted: Hosted, wait_until: Callable[..., Any]) -> None:
    address = "zoe@example.com"
    code, said = hosted.people("add", "zoe", "--email", address)
    assert code == 0, said
    assert hosted.page_url in said
    assert hosted.mails(address) == 1
    assert hosted.listed()["zoe"] == {"name": "zoe", "email": address, "groups": [REVIEWERS], "status": "FORCE_CHANGE_PASSWORD",
                                      "enabled": True, "mfa": False}  # fmt: skip
    [row] = [line.split() for line in hosted.people("list")[1].splitlines() if line.startswith("zoe")]
    assert row == ["zoe", address, REVIEWERS, "FORCE_CHANGE_PASSWORD", "yes", "no"]
    assert json.loads(hosted.people("add", "zoe", "--email", address, "--lead", "--json")[1])["changes"] == [f"added to the group {LEADS}"]
    assert hosted.people("add", "zoe", "--email", "zoe@other.example")[0] == FAILED
    code, said = hosted.people("invite", "zoe")
    assert (code, hosted.mails(address)) == (0, 2), said
    assert hosted.people("invite", "nobody") == (FAILED, f"error: the user pool {hosted.pool} has no account nobody: "
                                                 "`review people list` shows everybody\n")  # fmt: skip

    hosted.client("cognito-idp").admin_set_user_password(UserPoolId=hosted.pool, Username="zoe", Password=PASSWORD, Permanent=True)
    zoe = Reviewer(Visitor(hosted.emulator.port), hosted.page_url)
    zoe.sign_in("zoe", PASSWORD)
    code, said = hosted.people("invite", "zoe")
    assert code == FAILED
    assert "zoe has a password already (CONFIRMED), so nothing was sent" in said
    assert (hosted.listed()["zoe"]["mfa"], hosted.mails(address)) == (True, 2)
    code, said = hosted.people("reset-authenticator", "zoe", "--json")
    assert (code, json.loads(said)["mfa"], hosted.listed()["zoe"]["mfa"]) == (0, False, False), said
    assert hosted.people("reset-authenticator", "zoe")[0] == FAILED
    hosted.age_sessions()
    assert elsewhere(zoe).json(f"{zoe.page_url}/next", zoe.csrf)[0] == 401, "who found the telephone is out"
    zoe = Reviewer(Visitor(hosted.emulator.port), hosted.page_url)
    zoe.sign_in("zoe", PASSWORD)
    assert hosted.listed()["zoe"]["mfa"], "another one is set up"

    hosted.ask("c" * 32, "a text in somebody's hands")
    task = state_of(zoe, wait_until)["task"]["id"]
    code, said = hosted.people("remove", "zoe", "--disable")
    assert code == ExitCode.REFUSED, "nobody answered the question"
    assert f"They hold 1 task ({task})" in said
    assert hosted.listed()["zoe"]["enabled"]
    code, said = hosted.people("remove", "zoe", "--disable", "--yes", "--json")
    assert (code, json.loads(said)["held"]) == (0, {"groups": [LEADS, REVIEWERS], "tasks": [task]})
    assert (hosted.listed()["zoe"]["enabled"], hosted.listed()["zoe"]["groups"]) == (False, [])
    with pytest.raises(Exception, match="disabled"):
        Reviewer(Visitor(hosted.emulator.port), hosted.page_url).sign_in("zoe", PASSWORD)
    assert "zoe: enabled the account" in hosted.people("add", "zoe", "--email", address)[1]
    hosted.age_sessions()
    assert elsewhere(zoe).json(f"{zoe.page_url}/next", zoe.csrf)[0] == 401, "a session of before does not come back with the account"
    assert "zoe: deleted the account" in hosted.people("remove", "zoe", "--yes")[1]
    assert "zoe" not in hosted.listed()
    assert hosted.people("remove", "zoe", "--yes")[0] == FAILED

    assert hosted.people("add", "zoe", "--email", address)[0] == 0
    hosted.age_sessions()
    assert zoe.visitor.json(f"{zoe.page_url}/next", zoe.csrf)[0] == 401, "the new account is somebody else"
    hosted.people("remove", "zoe", "--yes")


def test_texts_are_labelled_in_bulk_on_the_page(hosted: Hosted, wait_until: Callable[..., Any], tmp_path: Path) -> None:
    """The stage's own settings file has another time to take answers back; the command reads it, so the tasks have that time."""
    file, out = tmp_path / "texts.csv", tmp_path / "out"
    file.write_text('text\na first text\n""\nA FIRST TEXT\n"a second, longer text"\n', encoding="utf-8")
    command = ("label", str(file), "--out", str(out), "--yes", "--no-wait", "--json", "--header", "yes")
    code, said = hosted.command(*command)
    first = json.loads(said)
    assert (code, first["texts"], first["open"], first["repeated"], first["imported"]) == (0, 2, 2, 1, None), said
    gus, hal = hosted.reviewer("gus"), hosted.reviewer("hal")
    for person in (gus, hal):
        while (task := person.next()["task"]) is not None:
            person.answer(task["id"], "Good" if person.text(task["id"]) == "a first text" else "Bad")
    hosted.make_answers_final()
    hosted.sweep()
    code, said = hosted.command(*command)
    second = json.loads(said)
    assert (second["labelled"], second["open"], second["by_label"]) == (2, 0, {"negative": 1, "positive": 1}), said
    assert second["imported"] == {
        "labels_stored": 2,
        "undecided": 0,
        "already_labeled": 0,
        "failed": 0,
        "forgotten": 0,
        "unusable": 0,
        "problems": [],
    }
    assert code == FAILED, "two texts are too few for a dataset version, and the command says so"
    assert "too few texts" in second["problems"][0]
    lines = [json.loads(line) for line in (out / "output.manifest").read_text(encoding="utf-8").splitlines()]
    assert [(line["source"], line["label"]["label"]) for line in lines] == [
        ("a first text", "positive"),
        ("a second, longer text", "negative"),
    ]
    found = hosted.client.resource("dynamodb").Table(hosted.names.predictions_table).scan()["Items"]
    assert {(one["text"], one["human_label"]) for one in found if one.get("label_source") == "labeling:texts"} == {
        ("a first text", "positive"), ("a second, longer text", "negative")
    }  # fmt: skip


def test_a_label_is_exported_corrected_and_forgotten(hosted: Hosted, wait_until: Callable[..., Any]) -> None:
    prediction_id, subject = "d" * 32, "customer-7"
    data, review = (hosted.names.bucket(name) for name in ("data", "review"))
    row = Row("text:1", "an uploaded text", "negative", {}, group_of("", subject), "all", "file:x")
    s3 = hosted.client("s3")
    s3.put_object(Bucket=data, Key="datasets/labels/train/data.jsonl", Body=row.to_json().encode() + b"\n")
    hosted.ask(prediction_id, "they write about themselves", subject)
    wait_until(lambda: hosted.record(prediction_id).get("review_state") == "in_review")
    for name in ("ivy", "joe"):
        person = hosted.reviewer(name)
        while (task := person.next()["task"]) is not None:
            person.answer(task["id"], "Good")
    hosted.make_answers_final()
    wait_until(lambda: hosted.sweep() or hosted.record(prediction_id).get("review_state") == "reviewed")

    code, said = hosted.command("labels", "export", "--since", "2020-01-01")
    assert code == 0, said
    lines = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    [found] = [line for line in lines if line["id"] == f"prediction:{prediction_id}"]
    assert (found["label"], found["model"]["label"], found["model"]["version"]) == ("positive", "positive", "m1")
    assert len({one["worker"] for one in found["answers"]} - {"ivy", "joe"}) == 2, "people are pseudonyms"
    assert re.fullmatch("[0-9a-f]{12}", found["guidelines"])

    code, said = hosted.command("labels", "report", "--json")
    assert (code, json.loads(said)["anchoring"]["shown"]) == (0, 0) and json.loads(said)["texts"] >= 1, said
    code, said = hosted.command("labels", "correct", prediction_id, "Bad", "--reason", "irony", "--json")
    assert (code, json.loads(said)["record"], json.loads(said)["splits"]) == (0, True, []), said
    record = hosted.record(prediction_id)
    assert (record["human_label"], record["label_basis"]["was"], record["label_basis"]["reason"]) == ("negative", "positive", "irony")
    assert json.loads(hosted.command("labels", "correct", "text:1", "Good", "--reason", "x", "--json")[1])["splits"] == ["train"]
    assert "no row of the current dataset version" in hosted.command("labels", "correct", "text:2", "Good", "--reason", "x")[1]
    assert "the stage's labels are" in hosted.command("labels", "correct", "text:1", "Great", "--reason", "x")[1]

    code, said = hosted.command("labels", "forget", subject, "--yes", "--json")
    counts = {name: json.loads(said)[name] for name in ("predictions", "tasks", "rows")}
    assert (code, counts) == (0, {"predictions": 1, "tasks": 1, "rows": 1}), said
    left = hosted.record(prediction_id)
    assert (left["review_state"], set(left)) == (
        "forgotten", {"prediction_id", "review_state", "created_at", "expires_at", "attempt"}
    )  # fmt: skip
    assert all(prediction_id not in json.dumps(item, default=str) for item in hosted.task_items())
    found = s3.list_object_versions(Bucket=review)
    kept = [one["Key"] for one in (*found.get("Versions", ()), *found.get("DeleteMarkers", ()))]
    assert all(prediction_id not in key for key in kept)
    amendments = DatasetVersions(s3, data).amendments(Known())
    assert (set(amendments.corrections), amendments.forgets(row.group)) == ({f"prediction:{prediction_id}", "text:1"}, True)
    assert json.loads(hosted.command("labels", "forget", subject, "--yes", "--json")[1])["predictions"] == 0


def test_a_bulk_labelling_forgets_somebody_and_asks_about_them_no_more(hosted: Hosted, tmp_path: Path) -> None:
    file, row = tmp_path / "people.csv", Row("text:1", "an uploaded text", "negative", {}, "text:1", "all", "file:x")
    data = hosted.names.bucket("data")
    hosted.client("s3").put_object(Bucket=data, Key="datasets/labels/train/data.jsonl", Body=row.to_json().encode() + b"\n")
    file.write_text("text,who\nwhat bob wrote,bob\nwhat ann wrote,ann\n", encoding="utf-8")
    options = ("--group-column", "who", "--out", str(tmp_path / "out"), "--yes", "--no-wait", "--json")
    assert json.loads(hosted.command("label", str(file), *options)[1])["open"] == 2
    said = json.loads(hosted.command("labels", "forget", "bob", "--yes", "--json")[1])
    assert (said["predictions"], said["tasks"]) == (0, 1)
    kept = json.dumps(hosted.task_items(), default=str)
    assert ("what ann wrote" in kept, "what bob wrote" in kept) == (True, False)
    again = json.loads(hosted.command("label", str(file), *options)[1])
    assert (again["texts"], again["refused"]) == (1, 1)
    assert "what bob wrote" not in json.dumps(hosted.task_items(), default=str)
    assert json.loads(hosted.command("labels", "forget", "ann", "--yes", "--json")[1])["tasks"] == 1


def test_model_and_one_person_end_a_review_for_training_and_no_other(hosted: Hosted, wait_until: Callable[..., Any]) -> None:
    """An audit judges the model, and so may a text that can become a test row: the model has no part in their labels."""

    share = hosted.settings.retraining.holdout_share

    def subject_of(side: str) -> str:
        return next(name for name in map(str, range(1_000)) if side_of(group_of("", name), share) == side)

    training, audit, held_out = "1" * 32, "2" * 32, "3" * 32
    hosted.ask(training, "one text", subject_of("train"), confidence=0.7)
    hosted.ask(audit, "another text", subject_of("train"), ReviewReason.AUDIT_UNSURE, 0.7)
    hosted.ask(held_out, "a third text", subject_of("test"), confidence=0.7)
    for prediction_id in (training, audit, held_out):
        wait_until(lambda prediction_id=prediction_id: hosted.record(prediction_id).get("review_state") == "in_review")

    def everything_answered_by(name: str) -> None:
        person = hosted.reviewer(name)
        while (task := person.next()["task"]) is not None:
            person.answer(task["id"], "Good")
        hosted.make_answers_final()

    def lines() -> set[str]:
        found = hosted.client("s3").list_objects_v2(Bucket=hosted.names.bucket("capture"), Prefix="ground-truth/").get("Contents", ())
        return {one["Key"].rsplit("/", 1)[-1].removesuffix(".jsonl") for one in found}

    everything_answered_by("amy")
    wait_until(lambda: hosted.sweep() or hosted.record(training).get("review_state") == "reviewed")
    record = hosted.record(training)
    assert (record["human_label"], record["votes"], float(record["model_prior"])) == ("positive", {"positive": 1}, 0.7)
    assert [hosted.record(one)["review_state"] for one in (audit, held_out)] == ["in_review", "in_review"]
    everything_answered_by("ben")
    for prediction_id in (audit, held_out):
        wait_until(lambda prediction_id=prediction_id: hosted.sweep() or hosted.record(prediction_id).get("review_state") == "reviewed")
        record = hosted.record(prediction_id)
        assert (record["human_label"], record["votes"], "model_prior" in record) == ("positive", {"positive": 2}, False)
    assert lines() & {training, audit, held_out} == {audit, held_out}, "no model is judged by a label that it had a part in"


def test_gold_answers_are_counted_for_people_and_one_mail_says_that_tasks_wait(
    hosted: Hosted, wait_until: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "gold.csv"
    file.write_text("text,label\n" + "".join(f"surely good {number},Good\n" for number in range(10)), encoding="utf-8")
    code, said = hosted.command("review", "gold", "set", str(file))
    assert (code, "10 gold texts: 10 positive" in said) == (0, True), said
    prediction_id = "9" * 32
    hosted.ask(prediction_id, "a review that brings a gold task with it")
    wait_until(lambda: hosted.record(prediction_id).get("review_state") == "in_review")

    sent = json.loads(hosted.invoke("announce-tasks"))["sent"]  # False where the schedule was quicker
    assert sent or any(item["pk"] == f"notice#{REVIEWERS}" for item in hosted.task_items())
    assert not json.loads(hosted.invoke("announce-tasks"))["sent"], "there is one mail a day"

    for name, label in (("gil", "Good"), ("gwen", "Bad"), ("gabe", "Good")):
        person = hosted.reviewer(name)
        while (task := person.next()["task"]) is not None:
            person.answer(task["id"], label)
    hosted.make_answers_final()
    wait_until(lambda: hosted.sweep() or hosted.record(prediction_id).get("review_state") == "reviewed")
    people = {one["name"]: one for one in json.loads(hosted.command("review", "gold", "results", "--json")[1])}
    assert {name: (one["gold_right"], one["gold_answered"]) for name, one in people.items()} == {
        "gil": (1, 1), "gwen": (0, 1), "gabe": (1, 1)
    }  # fmt: skip
    labelled = hosted.client.resource("dynamodb").Table(hosted.names.predictions_table).scan()["Items"]
    assert all("surely good" not in one.get("text", "") for one in labelled)


class Answers(BaseHTTPRequestHandler):
    """The address to which a custom resource's function answers."""

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def test_the_guard_refuses_its_deletion_while_a_review_is_open_and_not_given_up(hosted: Hosted, wait_until: Callable[..., Any]) -> None:
    """The stack's deletion, which leaves everything at work. Given up, the function alone is asked: what runs later needs the stack."""
    prediction_id, parameter = "f" * 32, hosted.names.parameter("give-up-open-reviews")
    hosted.ask(prediction_id, "an open review")
    wait_until(lambda: hosted.record(prediction_id).get("review_state") == "in_review")
    cloudformation, stack = hosted.client("cloudformation"), hosted.names.stack("review")

    def resources() -> dict[str, str]:
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        return {one["LogicalResourceId"]: one["ResourceStatus"] for page in pages for one in page["StackResourceSummaries"]}

    before = resources()
    with pytest.raises(deployer.DeployError, match=f"{prediction_id}-1") as refusal:
        deployer.destroy(hosted.assembly, hosted.emulator.url, [stack])
    assert "Custom::OpenReviews" in refusal.value.resource
    after = resources()
    [guard] = [name for name, status in after.items() if status == "DELETE_FAILED"]
    assert after == {**before, guard: "DELETE_FAILED"}, "nothing else was touched"
    assert state_of(hosted.reviewer("ned"), wait_until)["task"], "people can go on answering"
    server = HTTPServer(("127.0.0.1", 0), Answers)
    Thread(target=server.serve_forever, daemon=True).start()
    event = {
        "RequestType": "Delete", "PhysicalResourceId": "open-reviews", "LogicalResourceId": "OpenReviews", "StackId": "s", "RequestId": "r",
        "ResponseURL": f"http://127.0.0.1:{server.server_port}/",
        "ResourceProperties": {
            "PredictionsTable": hosted.names.predictions_table, "TasksTable": hosted.names.review_tasks_table, "Parameter": parameter,
        },
    }  # fmt: skip
    try:
        refused = json.loads(hosted.invoke("open-reviews", event))
        assert (refused["Status"], f"{prediction_id}-1" in refused["Reason"], parameter in refused["Reason"]) == ("FAILED", True, True)
        hosted.client("ssm").put_parameter(Name=parameter, Type="String", Value="yes")
        assert json.loads(hosted.invoke("open-reviews", event))["Status"] == "SUCCESS"
    finally:
        server.shutdown()
