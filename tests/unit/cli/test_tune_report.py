"""``tune report``: which execution it takes, what it adds to an evaluation's report, and what it says when there is none.

``reports/report.json`` is of an evaluation job of this project; the other answers have the form of botocore's models.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from click.testing import Result
from typer.testing import CliRunner

from cli import costs
from cli.account import Account
from cli.executions import Execution
from cli.exit_codes import ExitCode
from cli.main import app
from cli.tune.candidates import candidates_of, next_steps
from cli.tune.history import STARTED_BY, Tuning
from cli.tune.reports import tuning_of
from contracts.report.page import page
from stacks.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
DEV = load_settings(ROOT / "settings" / "dev.yaml")
REPORT = json.loads((Path(__file__).parent / "reports" / "report.json").read_text(encoding="utf-8"))
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACHINE = "arn:aws:states:us-east-1:111122223333:stateMachine:reviewloop-dev-tuning"
JOBS = "arn:aws:sagemaker:us-east-1:111122223333"
MODELS = "reviewloop-dev-models-111122223333-us-east-1"
PACKAGE = f"{JOBS}:model-package/reviewloop-dev/7"
TUNING_JOB = "reviewloop-dev-e76e3589"
BEST, OTHER = REPORT["model_version"], f"{TUNING_JOB}-002-1602c0e0"
PRICES = {"Training": 0.75, "Processing": 0.5, "Hosting": None}


def folder(training_job: str) -> str:
    return f"evaluations/{training_job}-evaluation"


def judged(training_job: str, *refusals: str) -> dict[str, Any]:
    uri = f"s3://{MODELS}/{folder(training_job)}/gates.json"
    return {"training_job": training_job, "objective": 0.7, "passed": not refusals, "refusals": refusals, "gates_uri": uri}


def listed(name: str, status: str = "SUCCEEDED") -> dict[str, Any]:
    arn = f"{MACHINE.replace('stateMachine', 'execution')}:{name}"
    return {"executionArn": arn, "stateMachineArn": MACHINE, "name": name, "status": status, "startDate": BEGAN}


def history(*candidates: Mapping[str, Any], end: str | None = "Succeeded", **details: Any) -> list[dict[str, Any]]:
    """As GetExecutionHistory answers, the newest event first; the execution evaluated these candidates."""
    events: list[dict[str, Any]] = [
        {"type": "ExecutionStarted", "executionStartedEventDetails": {"input": "{}"}},
        _exited("Plan", {"tuning_job_name": TUNING_JOB}),
        {"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": "Tune"}},
    ]
    if candidates:
        events.append(_exited("EvaluateEach", {"candidates": candidates, "tuning_job_name": TUNING_JOB}))
    if end is not None:
        events.append({"type": f"Execution{end}", f"execution{end}EventDetails": details})
    return [{"id": number, "timestamp": BEGAN + timedelta(minutes=number), **one} for number, one in enumerate(events, 1)][::-1]


def _exited(name: str, output: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "TaskStateExited", "stateExitedEventDetails": {"name": name, "output": json.dumps(output)}}


def succeeded(*candidates: Mapping[str, Any]) -> list[dict[str, Any]]:
    output = {"packages": [{"model_package_arn": PACKAGE, "training_job": BEST}], "tuning_job": TUNING_JOB, "candidates": candidates}
    return history(*candidates, output=json.dumps(output))


class Aws:
    """Stubbed clients. Each answer is given once, in its order, and checked against botocore's model like its request."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        self._clients = {
            name: boto3.client(name, region_name="us-east-1", **keys)  # type: ignore[call-overload]
            for name in ("stepfunctions", "sagemaker", "s3")
        }
        self._stubs = {name: Stubber(client) for name, client in self._clients.items()}
        for stub in self._stubs.values():
            stub.activate()
        patch.setattr(Account, "client", lambda account, name: self._clients[name])
        patch.setattr(Account, "identity", {"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:user/ada"})
        patch.setattr(Account, "stack", lambda account, name: {"StackName": name} if name.endswith("-tuning") else None)
        patch.setattr(costs, "list_price", lambda session, region: lambda kind, component: PRICES[component])

    def answers(self, service: str, method: str, answer: Mapping[str, Any], request: Mapping[str, Any] | None = None) -> None:
        self._stubs[service].add_response(method, answer, request)

    def executions(self, *rows: Mapping[str, Any]) -> None:
        self.answers("stepfunctions", "list_executions", {"executions": rows})

    def events(self, events: Sequence[Mapping[str, Any]]) -> None:
        self.answers("stepfunctions", "get_execution_history", {"events": events})

    def files(self, training_job: str, *names: str) -> None:
        prefix = f"{folder(training_job)}/"
        found = {"Contents": [{"Key": f"{prefix}{name}"} for name in names]}
        self.answers("s3", "list_objects_v2", found, {"Bucket": MODELS, "Prefix": prefix})

    def report(self, training_job: str, content: Any) -> None:
        body = io.BytesIO(json.dumps(content).encode())
        self.answers("s3", "get_object", {"Body": body}, {"Bucket": MODELS, "Key": f"{folder(training_job)}/report.json"})

    def jobs(self, *evaluated: str) -> None:
        """One trial that reported an objective, one that failed, and a repeated evaluation of each candidate."""
        trials = [(BEST, "Completed", 0.71), (OTHER, "Failed", None)]
        summaries = [_summary(*one) for one in trials]
        self.answers("sagemaker", "list_training_jobs_for_hyper_parameter_tuning_job", {"TrainingJobSummaries": summaries})
        for name, status, _ in trials:
            self.answers("sagemaker", "describe_training_job", _training(name, status), {"TrainingJobName": name})
        for training_job in evaluated:
            begin = f"{training_job}-evaluation"
            names = [f"{begin}-0-0", f"{begin}-0-1", f"another-{begin}-0-0"]
            known = {"ProcessingJobArn": JOBS, "CreationTime": BEGAN, "ProcessingJobStatus": "Completed"}
            rows = [{**known, "ProcessingJobName": one} for one in names]
            request = {"NameContains": begin, "MaxResults": 100}
            self.answers("sagemaker", "list_processing_jobs", {"ProcessingJobSummaries": rows}, request)
            for name in names[:2]:
                self.answers("sagemaker", "describe_processing_job", _processing(name), {"ProcessingJobName": name})

    def all_asked(self) -> None:
        for stub in self._stubs.values():
            stub.assert_no_pending_responses()


def _summary(name: str, status: str, objective: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "TrainingJobName": name,
        "TrainingJobArn": JOBS,
        "CreationTime": BEGAN,
        "TrainingJobStatus": status,
        "TunedHyperParameters": {"layers": '"4"', "learning_rate": "0.000123456"},
    }
    if objective is not None:
        found["FinalHyperParameterTuningJobObjectiveMetric"] = {"MetricName": "validation:macro_f1", "Value": objective}
    return found


def _training(name: str, status: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "TrainingJobArn": JOBS,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://models/model.tar.gz"},
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3_600},
        "CreationTime": BEGAN,
        "TrainingStartTime": BEGAN,
        "TrainingEndTime": BEGAN + timedelta(hours=5),
        "BillableTimeInSeconds": 1_800,
    }


def _processing(name: str) -> dict[str, Any]:
    cluster = {"InstanceCount": 1, "InstanceType": "ml.g5.xlarge", "VolumeSizeInGB": 30}
    return {
        "ProcessingJobName": name,
        "ProcessingJobArn": JOBS,
        "ProcessingJobStatus": "Completed",
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {"ImageUri": "image"},
        "CreationTime": BEGAN,
        "ProcessingStartTime": BEGAN,
        "ProcessingEndTime": BEGAN + timedelta(seconds=900),
    }


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    return Aws(monkeypatch)


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(app, ["tune", "report", *arguments, "--output", str(tmp_path / "out")])


def test_a_page_has_the_trials_what_was_billed_and_what_to_type_next(aws: Aws, report: Callable[..., Result], tmp_path: Path) -> None:
    aws.executions(listed("t-running", "RUNNING"), listed("t-1"))
    aws.events(succeeded(judged(BEST), judged(OTHER, "macro-F1 0.4, 0.6 is needed")))
    aws.files(BEST, "evaluation.json", "report.json")
    aws.files(OTHER, "evaluation.json", "report.json")
    aws.jobs(BEST, OTHER)
    aws.report(BEST, REPORT)
    aws.report(OTHER, {**REPORT, "model_version": OTHER})
    done = report("--json")
    assert done.exit_code == ExitCode.DONE, done.output
    aws.all_asked()
    said = json.loads(done.stdout)
    assert (said["id"], said["outcome"], said["without_report"]) == ("t-1", "tuned", [])
    best, other = (one["report"] for one in said["reports"])
    assert [(one["training_job"], one["passed"], one["package"]) for one in said["reports"]] == [
        (BEST, True, PACKAGE),
        (OTHER, False, None),
    ]
    assert [(one["objective"], one["seconds"], one["status"]) for one in best["trials"]] == [
        (0.71, 1_800, "Completed"),
        (None, 1_800, "Failed"),
    ]
    assert best["trials"][0]["hyperparameters"] == {"layers": "4", "learning_rate": "0.000123456"}
    billed = [(one["instance_type"], one["seconds"], one["dollars"]) for one in best["cost"][:3]]
    assert billed == [("ml.g4dn.xlarge", 3_600, 0.75), ("ml.g5.xlarge", 3_600, 0.5), ("ml.m5.large", 4 * 730 * 3_600, None)]
    assert "list price of us-east-1 on 20" in best["cost"][0]["basis"]
    assert any(f"release start {PACKAGE} --watch --stage dev" in one["command"] for one in best["next_steps"])
    assert not any("release start" in one["command"] for one in other["next_steps"])
    assert "macro-F1 0.4, 0.6 is needed" in other["next_steps"][0]["what"]
    for one in said["reports"]:
        assert Path(one["page"]) == tmp_path / "out" / f"{one['training_job']}.html"
        written = Path(one["page"]).read_text(encoding="utf-8")
        assert written == page(one["report"])
        for words in (
            f"{one['training_job']} (this model)",
            "learning_rate 0.0001235",
            ">0.75<",
            ">not known<",
            "Next steps",
            "of t-1 on validation",
        ):
            assert words in written


@pytest.mark.parametrize("kept", [True, False])
def test_the_figures_are_those_of_the_threshold_that_serves(
    aws: Aws, report: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    fixed = DEV.model_copy(update={"review": DEV.review.model_copy(update={"threshold": 0.8})})
    monkeypatch.setattr("cli.tune.command.settings_of", lambda _: fixed)
    aws.executions(listed("t-1"))
    aws.events(succeeded(judged(BEST)))
    aws.files(BEST, "evaluation.json", "report.json", *(["predictions.jsonl"] if kept else []))
    aws.jobs(BEST)
    aws.report(BEST, REPORT)
    if kept:
        answers = [(0.8, "positive"), (0.9, "negative"), (0.95, "positive"), (0.79, "negative")]
        lines = [json.dumps({"id": "a", "truth": "positive", "label": label, "confidence": sure}) for sure, label in answers]
        body = {"Body": io.BytesIO("\n".join(lines).encode())}
        aws.answers("s3", "get_object", body, {"Bucket": MODELS, "Key": f"{folder(BEST)}/predictions.jsonl"})
    done = report("--json")
    assert done.exit_code == ExitCode.DONE, done.output
    aws.all_asked()
    [one] = json.loads(done.stdout)["reports"]
    written = Path(one["page"]).read_text(encoding="utf-8")
    assert "The settings fix the review threshold at 0.8 for all models (review.threshold)." in written
    assert "The model&#x27;s own threshold, 0.568, does not serve" in written
    if kept:
        assert one["report"]["serving_review"] == {"threshold": 0.8, "texts": 4, "alone": 3, "wrong": 1}
        assert "<h2>75.0 % of the test texts are answered without people, 33.3 % of them wrong</h2>" in written
    else:
        assert "<h2>The settings fix the review threshold at 0.8</h2>" in written
        assert "<h2>80.0 % of the test texts are answered" not in written


def test_the_newest_execution_without_an_evaluation_is_passed_over(aws: Aws, report: Callable[..., Result]) -> None:
    aws.executions(listed("smoke"), listed("early", "FAILED"), listed("refused", "FAILED"))
    aws.events(succeeded(judged("gone")))
    aws.files("gone")
    aws.events(history(end="Failed", error="NoCandidate", cause="none"))
    aws.events(history(judged(BEST, "macro-F1"), end="Failed", error="GatesRefused", cause="macro-F1"))
    aws.files(BEST, "evaluation.json", "report.json")
    aws.jobs(BEST)
    aws.report(BEST, REPORT)
    done = report()
    assert done.exit_code == ExitCode.DONE, done.output
    assert done.stdout.startswith(f"refused: gates refused\n{BEST}: macro-F1 0.746, the gates refused it\n")


def test_one_candidate_without_a_report_is_named_beside_the_page_of_the_other(aws: Aws, report: Callable[..., Result]) -> None:
    aws.executions(listed("t-1"))
    aws.events(succeeded(judged(BEST), judged(OTHER, "the evaluation failed: out of memory")))
    aws.files(BEST, "evaluation.json", "report.json")
    aws.files(OTHER, "gates.json")
    aws.jobs(BEST, OTHER)
    aws.report(BEST, REPORT)
    done = report("t-1")
    assert done.exit_code == ExitCode.DONE, done.output
    assert f"{OTHER}: no page, the evaluation failed: out of memory" in done.stdout


@pytest.mark.parametrize(
    ("status", "events", "code", "words"),
    [
        ("RUNNING", history(end=None), ExitCode.REFUSED, "t-1 still runs (training): `tune watch t-1` follows it"),
        (
            "FAILED",
            history(end="Failed", error="NoCandidate", cause="no job ended"),
            ExitCode.FAILED,
            "t-1 has no evaluation, or its files were removed. It ended as failed: no job ended. `tune redrive t-1`",
        ),
    ],
)
def test_without_an_evaluation_the_error_says_why_and_what_to_do(  # noqa: PLR0917  (a fixture, and a row of the table)
    aws: Aws, report: Callable[..., Result], status: str, events: list[dict[str, Any]], code: ExitCode, words: str
) -> None:
    aws.executions(listed("t-1", status))
    aws.events(events)
    refused = report("t-1")
    assert refused.exit_code == code
    assert words in refused.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "its evaluation wrote no report.json"),
        ({**REPORT, "schema_version": 0}, "schema_version 0, and this command reads 1"),
        (
            {name: value for name, value in REPORT.items() if name != "frozen_layers"},
            "no 'frozen_layers': another version",
        ),
        ([], "schema_version None"),
        ({**REPORT, "splits": None}, "a field of another form"),
        ({**REPORT, "overall": {**REPORT["overall"], "accuracy": {"value": "high"}}}, "a field of another form"),
    ],
)
def test_a_report_that_cannot_be_shown_names_the_execution_and_the_reason(
    aws: Aws, report: Callable[..., Result], content: Any, words: str
) -> None:
    aws.executions(listed("t-1"))
    aws.events(succeeded(judged(BEST)))
    aws.files(BEST, "evaluation.json", *(() if content is None else ("report.json",)))
    aws.jobs(BEST)
    if content is not None:
        aws.report(BEST, content)
    failed = report("t-1")
    assert failed.exit_code == ExitCode.FAILED
    assert f"t-1 has no report to show. {BEST}: " in failed.stderr
    assert words in failed.stderr


def test_an_unknown_execution_is_refused_with_where_to_look(aws: Aws, report: Callable[..., Result]) -> None:
    aws.executions(listed("t-1"))
    refused = report("t-2")
    assert refused.exit_code == ExitCode.REFUSED
    assert "has no execution 't-2' among its newest 1000: `tune history` lists the newest" in refused.stderr


def test_before_any_tuning_the_error_says_how_to_start_one(aws: Aws, report: Callable[..., Result]) -> None:
    aws.executions()
    refused = report()
    assert refused.exit_code == ExitCode.REFUSED
    assert "`tune start` starts one" in refused.stderr


def test_the_model_that_a_retraining_rolls_out_is_not_released_again() -> None:
    output = {"packages": [{"model_package_arn": PACKAGE, "training_job": BEST}]}
    tuning = Tuning("t-1", "tuning", status="SUCCEEDED", candidates=(judged(BEST),), output=output)
    automatic = DEV.model_copy(update={"gates": DEV.gates.model_copy(update={"approval": "automatic"})})
    manual = DEV.model_copy(update={"gates": DEV.gates.model_copy(update={"approval": "manual"})})
    again = Tuning("t-1", "tuning", status="SUCCEEDED", candidates=(judged(BEST),), output=output, input={STARTED_BY: "arn"})
    first = [
        next(next_steps(*one, candidates_of(tuning)[0], REPORT))["command"]
        for one in ((automatic, tuning), (automatic, again), (manual, again))
    ]
    assert "release start" in first[0]
    assert "release watch" in first[1]
    assert "--model-approval-status Approved" in first[2]


def test_a_retraining_names_its_tuning() -> None:
    retraining = Execution("arn:aws:states:us-east-1:111122223333:execution:reviewloop-dev-retraining:r-1", "r-1", "SUCCEEDED", BEGAN)
    name = "tuning-5d6f8faa4f0bba69bf84f0d8b0c8274c62df2c73-0"
    rows = [Execution(one["executionArn"], one["name"], "SUCCEEDED", BEGAN) for one in map(listed, ("other", name))]
    machine: Any = SimpleNamespace(listed=lambda: iter(rows))
    assert tuning_of(retraining, machine).name == name
