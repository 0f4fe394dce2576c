"""``label``: which texts people are asked about, what is refused before, and what comes out; on the hosted page and by Ground Truth."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError, EndpointConnectionError
from hosted_service import TEAM, Service
from label_files import read
from memory_table import MemoryTable
from review_fakes import FakeStore
from typer.testing import CliRunner

from cli.account import Account
from cli.console import FAILED as EXIT_FAILED
from cli.console import NO_ACCOUNT, WRONG_OPTIONS
from cli.label.command import _looked
from cli.label.ground_truth import GroundTruthJob, output_key
from cli.label.hosted import HostedJob
from cli.label.job import Standing, failed_line, job_name_of, labelled_line, name_fault
from cli.label.redriving import failed_for_good
from cli.label.results import counts_of, write_manifest, write_version
from cli.label.stage import NoStage, given_labels, terms_of
from cli.label.texts import Texts, Wanted, read_texts, without
from cli.labels import stores
from cli.main import app
from contracts.dataset_files import read_manifest, read_rows
from contracts.groups import text_digest
from contracts.labels import CANNOT_TELL
from lambdas.common.answers_wanted import AnswerRule
from lambdas.common.batch_get import TableIsBusy
from lambdas.common.labels import Labels
from lambdas.common.predictions import Forgotten, StoredPrediction
from lambdas.common.review import Origin, ReviewReason, ReviewRequest
from lambdas.labeling.import_labels.importing import Count, LabelImport
from lambdas.labeling.import_labels.manifest import LabeledRow, RowWithoutLabel
from lambdas.labeling.import_labels.manifest import read_rows as read_output
from lambdas.retraining.freeze_dataset.freeze import row_of
from lambdas.review.hosted import HostedStarter, Terms
from lambdas.review.hosted_tasks.gold import GoldText
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import task_id_of
from stacks.settings import Settings
from stacks.settings.review import AdaptiveSettings, AnswersSettings, ReviewSettings

LABELS = Labels(("negative", "positive"), ("Bad", "Good"))
TERMS = Terms(TEAM, "Choose", "Read it.", AnswerRule.TWO_THEN_THIRD, 3, 3_600, 86_400, 60)


def wanted(*texts: str) -> tuple[Wanted, ...]:
    return tuple(Wanted(line, f"{line:016x}", text, f"text:{line}") for line, text in enumerate(texts, 2))


def test_no_model_has_a_part_in_bulk_labelling() -> None:
    review = ReviewSettings(backend="hosted", answers=AnswersSettings(adaptive=AdaptiveSettings()))
    terms = terms_of(Settings(stage="dev").model_copy(update={"review": review}))
    assert (terms.rule, terms.adaptive) == (AnswerRule.TWO_THEN_THIRD, None)


def test_a_job_is_named_by_its_file_or_refused_by_name() -> None:
    assert job_name_of("Reviews of März (2026)") == "reviews-of-marz-2026"
    assert job_name_of("評価") == "texts"
    assert name_fault("reviews-2026") is None
    assert all(repr(name) in (name_fault(name) or "") for name in ("", "Reviews", "a--", "x" * 31))


def test_labels_of_the_command_line_have_ids_and_names() -> None:
    assert given_labels("Very good, Bad,Bad") == Labels(("very-good", "bad"), ("Very good", "Bad"))
    with pytest.raises(NoStage, match="--labels 'Good': 2 to 200 different labels"):
        given_labels("Good")


@pytest.fixture
def service() -> Service:
    return Service(MemoryTable())


def job_of(service: Service, *texts: str, labels: Labels = LABELS) -> HostedJob:
    return HostedJob(service.tasks, TERMS, labels, "reviews", wanted(*texts), lambda: service.now / 1_000)


def asked(job: HostedJob) -> tuple[int, int]:
    """How many texts are new, and how far the progress bar goes."""
    steps: list[int] = []
    return job.ask(steps.append), sum(steps)


def test_no_text_is_asked_twice_and_a_longer_file_asks_about_its_new_texts(service: Service) -> None:
    assert asked(job_of(service, "one", "two")) == (2, 2)
    assert asked(job_of(service, "one", "two")) == (0, 2)
    assert asked(job_of(service, "one", "two", "three")) == (1, 3)
    assert asked(job_of(service, "one", labels=Labels(("a", "b"), ("a", "b")))) == (1, 1)
    assert asked(job_of(service, "one", labels=Labels(("b", "a"), ("b", "a")))) == (0, 1), "the same labels in another order"


def test_people_label_on_the_page_and_nobody_else_is_told(service: Service) -> None:
    job = job_of(service, "one", "two")
    job.ask(lambda _: None)
    for name, label in (("ann", "Good"), ("bob", "Good")):
        service.answer(name, label)
    assert (job.look().lines, job.look().answers, job.look().running) == ({}, 2, True)
    for name, label in (("ann", "Good"), ("bob", "Bad"), ("cyd", "Bad")):
        while service.answer(name, label) != job._ids[job.wanted[1].key]:
            pass
    service.wait(61)
    service.sweep()
    standing = job.look()
    assert not standing.running
    lines = [json.dumps(standing.lines[one.key]).encode() for one in job.wanted]
    rows = [row for row in read_output(lines, "label", LABELS) if isinstance(row, LabeledRow)]
    assert [(row.text, row.consolidated.label, dict(row.consolidated.votes)) for row in rows] == [
        ("one", "positive", {"positive": 2}),
        ("two", "negative", {"negative": 2, "positive": 1}),
    ]
    assert [answer.worker_id for answer in rows[1].answers] == ["ann", "bob", "cyd"]
    assert service.sent == [], "no prediction waits for these answers"


def test_who_cannot_tell_says_so_in_a_job_whose_texts_end_undecided_then(service: Service) -> None:
    job = job_of(service, "one", labels=LABELS.offering(cannot_tell=True))
    job.ask(lambda _: None)
    assert service.tasks.input(job._ids[job.wanted[0].key])["labels"] == ["Bad", "Good", CANNOT_TELL]
    for name in ("ann", "bob"):
        service.answer(name, CANNOT_TELL)
    service.wait(61)
    service.sweep()
    job.labels = LABELS  # the setting was switched off meanwhile
    [line] = job.look().lines.values()
    [row] = read_output([json.dumps(line).encode()], "label", LABELS)
    assert isinstance(row, LabeledRow)
    assert (row.consolidated.label, [one.label for one in row.answers]) == (None, [CANNOT_TELL, CANNOT_TELL])
    assert "2 of 2 people cannot tell" in row.consolidated.reason


def test_the_group_of_a_text_is_carried_to_its_label_and_its_tasks(service: Service, tmp_path: Path) -> None:
    texts = read(tmp_path, "text,who\n" + "".join(f"text {number},bob\n" for number in range(12)) + "other,\n", group="who")
    job = HostedJob(service.tasks, TERMS, LABELS, "reviews", texts.wanted, lambda: service.now / 1_000)
    job.ask(lambda _: None)
    bob = stores.digest_of("bob")
    review = ReviewRequest("p1", "of a review", "negative", 0.5, ReviewReason.LOW_CONFIDENCE, origin=Origin("c", "m", 0.6, "t", 1, "bob"))
    HostedStarter(service.tasks, TERMS, LABELS).start(review)
    assert sorted(service.tasks.about(bob)) == sorted([*(job._ids[one.key] for one in texts.wanted[:12]), task_id_of("p1-1")])
    assert "bob" not in json.dumps([item for (_, sk), item in service.table.items.items() if sk == "task"], default=str)

    content = {"label": "positive", "votes": {"positive": 2}, "agreement": 1.0, "reason": "", "answers": []}
    at = "2026-11-23T10:00:00"
    lines = {one.key: labelled_line(one.text, content, "reviews", at, one.subject) for one in texts.wanted}
    manifest = write_manifest(tmp_path, texts.wanted, lines).read_bytes().splitlines(keepends=True)
    store, now = FakeStore(), datetime(2026, 11, 23, 11, tzinfo=UTC)

    def imported() -> Count:
        taken = LabelImport(store, lambda *_: None, "labeling:reviews", timedelta(days=90), lambda: now)
        return taken.run(read_output(manifest, "label", LABELS))

    assert imported() == Count(labels_stored=13)
    rows = [row_of(StoredPrediction.parse(item), LABELS.ids) for item in store.items.values()]
    assert [row.group for row in rows if row is not None][:12] == ["subject:bob"] * 12

    store.items.clear()
    store.forget_subject("bob", Forgotten(at, 1_900_000_000))
    assert imported() == Count(labels_stored=1, forgotten=12), "also what people labelled after that"
    assert [item["text"] for item in store.items.values()] == ["other"]
    left = without(texts, {"bob"})
    assert ([one.text for one in left.wanted], len(left.refused)) == (["other"], 12)
    assert "forgotten" in left.refused[0].reason


def test_gold_tasks_are_mixed_into_a_job_and_are_in_none_of_its_results(service: Service) -> None:
    known = [GoldText(f"known {number}", "positive") for number in range(3)]
    gold = [*known, GoldText("ONE", "negative"), GoldText("other", "gone")]  # the first is wanted, nobody can choose the other's label
    texts = wanted("one", *(f"text {number}" for number in range(20)))
    texts = tuple(replace(one, key=text_digest(one.text)) for one in texts)

    def job(share: float = 1.0, texts: tuple[Wanted, ...] = texts) -> HostedJob:
        terms = replace(TERMS, gold_share=share, most=1)
        return HostedJob(service.tasks, terms, LABELS, "reviews", texts, lambda: service.now / 1_000, gold)

    first = job()
    assert (asked(first), set(first.gold_tasks.values())) == ((21, 21), set(known))
    assert (asked(job()), asked(job(texts=(*texts, *wanted("more"))))) == ((0, 21), (1, 22)), "another run brings no gold text again"
    tasks = list(service.tasks.soon_due(100))
    assert (len(tasks), sum(task.gold is not None for task in tasks), {task.job for task in tasks}) == (22 + 3, 3, {"reviews"})
    while service.next("ann") is not None:
        service.answer("ann", "Good")
    service.wait(61)
    service.sweep()
    assert {line["source"] for line in first.look().lines.values()} == {one.text for one in texts}
    [ann] = service.tasks.people(TEAM, 10)
    assert (ann.answered, ann.gold_answered, ann.gold_right) == (25, 3, 3)
    assert job(0.0).gold_tasks == {}


def test_reviews_go_before_texts_that_are_labelled_in_bulk(service: Service) -> None:
    job_of(service, "one").ask(lambda _: None)
    service.wait(60)
    review = service.ask("a prediction")
    assert service.next("ann") == review


def test_a_text_that_nobody_answered_in_time_is_asked_again_by_the_next_run(service: Service) -> None:
    job = job_of(service, "one", "two")
    job.ask(lambda _: None)
    answered = service.answer("ann")
    service.wait(86_401)
    service.sweep()
    lines = job.look().lines
    failed = [key for key, line in lines.items() if "failure-reason" in line["label-metadata"]]
    assert len(failed) == 1
    assert asked(again := job_of(service, "one", "two")) == (1, 2)
    assert again.look().running
    assert service.read(answered).status == "failed", "the one answer counts, as it does with Ground Truth"
    assert [line["label"]["label"] for key, line in lines.items() if key not in failed] == ["positive"]
    [row] = read_output([json.dumps(lines[failed[0]]).encode()], "label", LABELS)
    assert isinstance(row, RowWithoutLabel)
    assert row.failed
    assert service.next("ann") is not None


def test_a_page_that_cannot_show_a_text_fails_that_text_alone(service: Service) -> None:
    job = job_of(service, "one")
    job.ask(lambda _: None)
    service.render = lambda _: "nothing is asked"  # a template that was broken meanwhile
    assert service.next("ann") is None
    [line] = job.look().lines.values()
    assert "ValidationError" in line["label-metadata"]["failure-reason"]


def test_the_labelled_texts_are_a_dataset_version_with_their_votes_and_names(tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    topics = [" ".join(hashlib.sha256(str(number).encode()).hexdigest()[:24]) for number in range(60)]  # no two are nearly the same
    file.write_text("text,who\n" + "".join(f"{topic},w{number // 3}\n" for number, topic in enumerate(topics)), encoding="utf-8")
    texts = read_texts(file, {"group": "who"}, header="auto", longest=100).wanted
    lines: dict[str, Any] = {}
    for number, one in enumerate(texts):
        label, other = ("positive", "negative") if number % 2 else ("negative", "positive")
        content = {"label": label, "votes": {label: 2, other: 1, "neutral": 1}, "agreement": 0.5, "reason": "", "answers": []}
        lines[one.key] = labelled_line(one.text, content, "many", "2026-11-23T10:00:00")
    lines[texts[0].key] = failed_line(texts[0].text, "expired", "many", "2026-11-23T10:00:00")
    labels = Labels(("negative", "neutral", "positive"), ("Bad", "Neutral", "Good"))
    manifest = write_version(tmp_path, texts, lines, labels, "many")
    assert write_version(tmp_path, texts, lines, labels, "many") == manifest
    folder = tmp_path / "datasets" / manifest.version
    assert read_manifest(folder).label_names == {"negative": "Bad", "positive": "Good"}
    assert sum(manifest.rows.values()) == 59
    rows = [row for split in manifest.rows for row in read_rows(folder / split)]
    assert {row.source for row in rows} == {"labeling:many"}
    assert {row.votes[row.label] for row in rows} == {2}
    assert all("neutral" not in row.votes for row in rows), "no text has it, so no model learns it"
    assert {row.group for row in rows} <= {f"subject:w{number}" for number in range(20)}
    counts = counts_of(texts, lines)
    assert (counts.labelled, counts.undecided, counts.failed, counts.open) == (59, 0, 1, 0)
    assert len(write_manifest(tmp_path, texts, lines).read_text(encoding="utf-8").splitlines()) == 60
    assert not list(tmp_path.glob(".*")), "nothing unfinished stays"


class GroundTruth:
    """The clients that the command needs of a stage with Ground Truth; ``outputs``: execution -> (status, lines)."""

    def __init__(self, outputs: dict[str, tuple[str, list[dict[str, Any]]]]) -> None:
        self.outputs, self.started = outputs, dict[str, list[str]]()
        self.exceptions = SimpleNamespace(ExecutionDoesNotExist=KeyError, NoSuchKey=FileNotFoundError, ResourceNotFound=LookupError)
        self._put: dict[str, str] = {}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        status, _ = self.outputs[executionArn.rpartition(":")[2]]
        if status == "DROPPED":
            raise KeyError
        return {"status": status, "cause": "because"}

    def describe_labeling_job(self, *, LabelingJobName: str) -> dict[str, Any]:  # noqa: N803
        if LabelingJobName.removeprefix("reviewloop-dev-") not in self.outputs:
            raise LookupError
        return {"LabelCounters": {"TotalLabeled": 1, "FailedNonRetryableError": 0}}

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: N803
        assert stateMachineArn.endswith(":stateMachine:reviewloop-dev-labeling")
        given = json.loads(input)
        assert given["name"] == name
        self.started[name] = [json.loads(line)["source"] for line in self._put[given["manifest_uri"]].splitlines()]
        self.outputs[name] = ("RUNNING", [])

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803
        assert ContentType == "application/jsonlines"
        self._put[f"s3://{Bucket}/{Key}"] = Body.decode()

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        found = {output_key("reviewloop-dev", name): lines for name, (_, lines) in self.outputs.items()}
        if not found.get(Key):
            raise FileNotFoundError
        stream = io.BytesIO("".join(json.dumps(line) + "\n" for line in found[Key]).encode())
        return {"Body": SimpleNamespace(iter_chunks=lambda size: iter(lambda: stream.read(size), b""))}


def ground_truth(made: GroundTruth, texts: Texts) -> GroundTruthJob:
    account = Account(Settings(stage="dev"))
    account.__dict__["identity"] = {"Account": "123456789012", "Arn": "arn:aws:sts::123456789012:assumed-role/a/b"}
    account._clients.update(dict.fromkeys(("stepfunctions", "s3", "sagemaker"), made))
    return GroundTruthJob(account, "reviews", texts.wanted)


def test_ground_truth_is_asked_once_and_again_only_for_what_it_did_not_label(tmp_path: Path) -> None:
    texts, nothing = read(tmp_path, "text,who\none,bob\ntwo,\nthree,\n", group="who"), (lambda _: None)
    made = GroundTruth({})
    assert ground_truth(made, texts).ask(nothing) == 3
    assert [json.loads(line) for line in made._put.popitem()[1].splitlines()] == [
        {"source": "one", "subject": "bob"}, {"source": "two"}, {"source": "three"}
    ]  # fmt: skip
    running = ground_truth(made, texts)
    assert running.ask(nothing) == 0, "it runs: the command only watches"
    assert (running.look().running, running.look().done) == (True, 1)
    content = {"label": "positive", "votes": {"positive": 2}, "agreement": 1.0, "reason": "", "answers": []}
    at = "2026-11-23T10:00:00"
    made.outputs["reviews-1"] = ("FAILED", [labelled_line("one", content, "j", at), failed_line("two", "expired", "j", at)])
    standing = running.look()
    assert (standing.running, standing.done) == (False, 2)
    assert standing.problem is not None
    assert standing.problem.startswith("the execution reviews-1 of the state machine labeling ended FAILED: because. ")
    assert "run the same command again" in standing.problem
    again = ground_truth(made, texts)
    assert again.ask(nothing) == 2
    assert made.started == {"reviews-1": ["one", "two", "three"], "reviews-2": ["two", "three"]}
    made.outputs["reviews-2"] = ("SUCCEEDED", [labelled_line(text, content, "j", at) for text in ("two", "three")])
    standing = again.look()
    assert (standing.done, standing.problem) == (3, None)
    done = ground_truth(made, texts)
    assert (done.ask(nothing), done.look().done, len(made.started)) == (0, 3, 2)


def test_an_execution_of_long_ago_is_not_asked_again(tmp_path: Path) -> None:
    """Step Functions knows an execution for 90 days. The output stays longer, and the name of a labelling job is taken for ever."""
    texts, content = read(tmp_path, "text\none\ntwo\n"), {"label": "positive", "votes": {"positive": 2}, "answers": []}
    made = GroundTruth(
        {"reviews-1": ("DROPPED", [labelled_line("one", content, "j", "2026-11-23T10:00:00")]), "reviews-2": ("DROPPED", [])}
    )
    assert (ground_truth(made, texts).ask(lambda _: None), made.started) == (1, {"reviews-3": ["two"]})
    made.outputs["reviews-3"] = ("DROPPED", [labelled_line("two", content, "j", "2026-11-23T10:00:00")])
    job = ground_truth(made, texts)
    assert (job.ask(lambda _: None), job.look().done, list(made.started)) == (0, 2, ["reviews-3"])


def test_an_execution_that_failed_once_people_had_answered_all_is_named_with_the_command_that_redrives_it(tmp_path: Path) -> None:
    """Nobody is asked anything more, so nothing else would tell that the labels are not stored."""
    texts, content = read(tmp_path, "text\none\n"), {"label": "positive", "votes": {"positive": 2}, "answers": []}
    made = GroundTruth({"reviews-1": ("FAILED", [labelled_line("one", content, "j", "2026-11-23T10:00:00")])})
    job = ground_truth(made, texts)
    assert (job.ask(lambda _: None), made.started) == (0, {})
    standing = job.look()
    assert (standing.running, standing.done) == (False, 1)
    assert "`label redrive reviews-1`" in str(standing.problem)


ENTERED = {"type": "FailStateEntered", "stateEnteredEventDetails": {"name": "NotCompleted"}}
FAILED = {
    "type": "ExecutionFailed",
    "executionFailedEventDetails": {"error": "States.TaskFailed", "cause": '{"FailureReason": "no workers"}'},
}


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([{"type": "LambdaFunctionFailed"}, FAILED], None),
        ([{"type": "ExecutionRedriven"}], None),
        ([ENTERED, FAILED], "no workers"),
        ([ENTERED, FAILED, {"type": "ExecutionRedriven"}], None),
        ([], None),
    ],
)
def test_what_has_ended_in_a_fail_state_is_not_redriven(events: list[dict[str, Any]], why: str | None) -> None:
    assert failed_for_good(events) == why


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--help"], "redrive"), (["redrive", "--help"], "execution"), (["texts.csv", "--help"], "file")]
)
def test_a_file_comes_first_unless_a_command_does(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["label", *arguments], env={"COLUMNS": "120"})
    assert (done.exit_code, said in done.output) == (0, True), done.output


def test_the_hosted_page_has_nothing_to_redrive() -> None:
    done = CliRunner().invoke(app, ["label", "redrive", "--stage", "newacct"])
    assert (done.exit_code, "to go on, run `label FILE` again" in done.output) == (WRONG_OPTIONS, True), done.output


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({"labeling": {"enabled": False}}, [], "labeling.enabled false"),
        ({}, ["--name", "No Name"], "--name 'No Name'"),
        ({}, ["--header", "maybe"], "--header 'maybe': allowed are auto, yes and no"),
        ({}, ["--encoding", "cp125"], "--encoding 'cp125' is no encoding that Python reads"),
        ({}, ["--text-column", "nothing"], "has no column 'nothing' (--text)"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], options: list[str], said: str
) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "test.yaml").write_text(yaml.safe_dump({"stage": "test", **change}), encoding="utf-8")
    monkeypatch.setattr("cli.console.ROOT", tmp_path)
    (tmp_path / "texts.csv").write_text("text\none\n", encoding="utf-8")
    arguments = ["label", str(tmp_path / "texts.csv"), "--out", str(tmp_path / "out"), "--stage", "test", *options]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, said in done.output) == (WRONG_OPTIONS, True), done.output


class BusyTable(MemoryTable):
    """Leaves every key unread, as a table whose capacity is used up."""

    def batch_get_item(self, *, RequestItems: Any) -> dict[str, Any]:  # noqa: N803
        return {"Responses": {}, "UnprocessedKeys": RequestItems}


def test_a_busy_table_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\none\ntwo\n", encoding="utf-8")
    monkeypatch.setattr("lambdas.common.batch_get.PAUSES", (0.0,))
    monkeypatch.setattr("cli.label.command.Account", lambda settings, _: SimpleNamespace(settings=settings))
    monkeypatch.setattr("cli.label.command.stage_labels", lambda _: None)
    monkeypatch.setattr("cli.label.command.task_table", lambda _: TaskTable(BusyTable(), 1))
    arguments = ["label", str(file), "--labels", "Good,Bad", "--yes", "--no-wait", "--stage", "newacct", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, "its capacity is used up" in done.output) == (EXIT_FAILED, True), (done.output, done.exception)
    assert "Run the same command again" in done.output


def _expired(*_: Any) -> Any:
    raise refused("ExpiredTokenException")


def _full(*_: Any) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [(_expired, NO_ACCOUNT, "AWS refused the credentials (ExpiredTokenException"), (_full, EXIT_FAILED, "nobody's answer is lost")],
    ids=["expired credentials", "a full disk"],
)
def test_what_ends_the_waiting_for_answers_is_a_sentence_with_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Any, code: int, said: str
) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text\none\ntwo\n", encoding="utf-8")
    monkeypatch.setattr("cli.label.command.Account", lambda settings, _: SimpleNamespace(settings=settings))
    monkeypatch.setattr("cli.label.command.stage_labels", lambda _: None)
    monkeypatch.setattr("cli.label.command.task_table", lambda _: TaskTable(MemoryTable(), 1))
    monkeypatch.setattr("cli.label.command._run", lambda *_, **__: Standing({}, 0, 0, running=True))
    monkeypatch.setattr("cli.label.command._keep", ends)
    done = CliRunner().invoke(app, ["label", str(file), "--labels", "Good,Bad", "--yes", "--stage", "newacct", "--out", str(tmp_path)])
    assert (done.exit_code, said in done.output) == (code, True), (done.output, done.exception)


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "BatchGetItem")


def test_whoever_waits_for_answers_goes_on_when_aws_is_busy_or_away() -> None:
    running, done = Standing({}, 0, 0, running=True), Standing({}, 1, 2)
    for problem in (TableIsBusy("busy"), refused("ThrottlingException"), EndpointConnectionError(endpoint_url="x")):
        looks = iter([running, problem, running, problem, done])

        def look(looks: Iterator[Standing | Exception] = looks) -> Standing:
            found = next(looks)
            if isinstance(found, Exception):
                raise found
            return found

        assert _looked(look, wait=True, every=0.0) == done

    def denied() -> Standing:
        raise refused("AccessDeniedException")

    with pytest.raises(ClientError, match="AccessDenied"):
        _looked(denied, wait=True, every=0.0)


@pytest.mark.parametrize("answer", ["", "n\n"])
def test_a_question_that_nobody_can_answer_is_answered_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """A pipeline has no keyboard: it gets the sentence that names --yes, and the exit code of a refusal."""
    file = tmp_path / "texts.csv"
    file.write_text("text\nfine\n", encoding="utf-8")
    monkeypatch.setattr("cli.label.command.Account", lambda settings, _: SimpleNamespace(settings=settings))
    monkeypatch.setattr("cli.label.command.stage_labels", lambda _: None)
    monkeypatch.setattr("cli.label.command.task_table", lambda _: TaskTable(MemoryTable(), 1))
    arguments = ["label", str(file), "--labels", "Good,Bad", "--stage", "newacct", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, arguments, input=answer)
    assert done.exit_code == 2
    assert "nobody was asked: answer y, or give --yes" in done.stderr
