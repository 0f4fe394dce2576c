"""``tune``: how an execution's history becomes an outcome and an exit code, and what is refused before anything starts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.testing import CliRunner

from cli.account import Account
from cli.console import errors_as_sentences
from cli.executions import Execution
from cli.exit_codes import ExitCode
from cli.main import app, tune
from cli.tune import command
from cli.tune.history import Tuning

COMMANDS = (Path(__file__).resolve().parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
PACKAGE = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/reviewloop-dev/7"


def history(part: str, *states: tuple[str, dict[str, Any]], end: str | None = None, **details: Any) -> Tuning:
    """An execution that went through these states, each with its output; ``end`` such as ``Succeeded``."""
    events: list[dict[str, Any]] = [{"type": "ExecutionStarted", "executionStartedEventDetails": {"input": '{"reason": "a test"}'}}]
    for name, output in states:
        events.append({"type": "TaskStateEntered", "stateEnteredEventDetails": {"name": name}})
        events.append({"type": "TaskStateExited", "stateExitedEventDetails": {"name": name, "output": json.dumps(output)}})
    if end is not None:
        events.append({"type": f"Execution{end}", f"execution{end}EventDetails": details})
    numbered = [{"id": number, "timestamp": BEGAN + timedelta(minutes=number), **one} for number, one in enumerate(events, 1)]
    return Tuning("tuning-1", part).after(numbered)


@pytest.mark.parametrize(
    ("part", "end", "details", "outcome", "code"),
    [
        ("tuning", "Succeeded", {"output": json.dumps({"packages": [{"model_package_arn": PACKAGE}]})}, "tuned", ExitCode.DONE),
        ("tuning", "Failed", {"error": "GatesRefused", "cause": "macro-F1"}, "gates_refused", ExitCode.GATES_REFUSED),
        ("tuning", "Failed", {"error": "InvalidInput", "cause": "max_jobs"}, "refused", ExitCode.REFUSED),
        ("tuning", "Failed", {"error": "EvaluationFailed", "cause": "it crashed"}, "failed", ExitCode.FAILED),
        ("tuning", "Aborted", {"cause": "somebody"}, "stopped", ExitCode.WITHDRAWN),
        ("retraining", "Succeeded", {"output": '{"skipped": "3 new labels"}'}, "skipped", ExitCode.SKIPPED),
        ("retraining", "Succeeded", {"output": '{"rollout": {"outcome": "rolled_back"}}'}, "rolled_back", ExitCode.ROLLED_BACK),
        ("retraining", "Succeeded", {"output": '{"rollout": {"outcome": "awaiting_approval"}}'}, "awaiting_approval", ExitCode.DONE),
        (
            "retraining",
            "Failed",
            {"error": "States.TaskFailed", "cause": json.dumps({"Error": "GatesRefused", "Cause": "macro-F1"})},
            "gates_refused",
            ExitCode.GATES_REFUSED,
        ),
    ],
)
def test_an_outcome_has_its_exit_code(part: str, end: str, details: dict[str, Any], outcome: str, code: int) -> None:
    tuning = history(part, ("Plan", {}), end=end, **details)
    assert (tuning.outcome, tuning.exit_code) == (outcome, code)
    assert tuning.ended is not None


def test_a_running_tuning_says_what_it_is_at_and_which_job_it_follows() -> None:
    tuning = history("tuning", ("Plan", {"tuning_job_name": "reviewloop-dev-1a2b3c4d"}), ("Tune", {}))
    assert (tuning.runs, tuning.doing, tuning.tuning_job) == (True, "training", "reviewloop-dev-1a2b3c4d")
    assert history("retraining", ("Freeze", {})).doing == "making a dataset version of the new labels"


def test_the_reason_is_in_the_words_of_what_failed() -> None:
    inner = json.dumps({"Error": "GatesRefused", "Cause": "macro-F1 0.4, 0.6 is needed"})
    assert history("retraining", end="Failed", error="States.TaskFailed", cause=inner).why == "macro-F1 0.4, 0.6 is needed"
    assert history("retraining", end="Succeeded", output='{"skipped": "3 new labels"}').why == "3 new labels"


def test_a_document_names_the_packages() -> None:
    tuning = history("tuning", end="Succeeded", output=json.dumps({"packages": [{"model_package_arn": PACKAGE}], "tuning_job": "job"}))
    document = command.document(tuning)
    assert json.loads(json.dumps(document)) == document
    assert (document["packages"], document["tuning_job"]) == ([{"model_package_arn": PACKAGE}], "job")
    assert command.packages_of(tuning) == PACKAGE


def test_a_redriven_tuning_runs_again() -> None:
    failed = history("tuning", end="Failed", error="EvaluationFailed", cause="it crashed")
    again = failed.after([{"id": 9, "type": "ExecutionRedriven", "timestamp": BEGAN}])
    assert (failed.outcome, again.outcome) == ("failed", "running")


def test_a_tuning_without_a_dataset_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Account, "identity", {"Account": "111122223333", "Arn": "arn:aws:iam::111122223333:user/ada"})
    monkeypatch.setattr(Account, "stack", lambda self, name: {"StackName": name})
    monkeypatch.setattr(Account, "parameter", lambda self, path: "none")
    refused = CliRunner().invoke(app, ["tune", "start"])
    assert refused.exit_code == ExitCode.REFUSED
    assert "there is no dataset yet: upload one" in refused.stderr


def test_the_execution_that_runs_is_followed_else_the_newest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def row(name: str, minute: int, status: str = "SUCCEEDED") -> Any:
        return SimpleNamespace(name=name, started=BEGAN + timedelta(minutes=minute), status=status, runs=status == "RUNNING")

    def machine(part: str, *rows: Any) -> Any:
        return SimpleNamespace(part=part, running=lambda: [one for one in rows if one.runs], listed=lambda most: list(rows[:most]))

    account: Any = SimpleNamespace()
    both = [machine("tuning", row("t2", 9), row("t1", 1, "RUNNING")), machine("retraining", row("r1", 5))]
    monkeypatch.setattr(command, "_machines", lambda _: both)
    assert command._find(account, None)[1].name == "t1"
    both[0] = machine("tuning", row("t2", 9))
    assert command._find(account, None)[1].name == "t2"


JOB = {
    "TrainingJobStatusCounters": {"Completed": 2},
    "HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxNumberOfTrainingJobs": 4}},
}


def refusal(code: str, status: int) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "DescribeHyperParameterTuningJob")


def followed(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[str]:
    """What a log of ``tune watch`` says, when SageMaker answers these to the questions for the counts, one at each reading."""
    said: list[str] = []
    running = history("tuning", ("Plan", {"tuning_job_name": "job"}), ("Tune", {}))
    running = replace(running, state="Tune")
    ended = history("tuning", end="Succeeded", output=json.dumps({"packages": [{"model_package_arn": PACKAGE}]}))
    left = list(answers)

    def describe(**_: Any) -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = SimpleNamespace(
        describe_hyper_parameter_tuning_job=describe, exceptions=SimpleNamespace(ResourceNotFound=type("Gone", (Exception,), {}))
    )
    machine: Any = SimpleNamespace(part="tuning", account=SimpleNamespace(client=lambda _: client))
    follower = command._Follower(machine, 0.0, as_json=False)
    monkeypatch.setattr(command._Follower, "_readings", lambda self, execution: iter([running] * len(answers) + [ended]))
    monkeypatch.setattr(command._Follower, "_say", lambda self, line, event: said.append(line))
    follower.to_the_end(Execution("arn", "tuning-1", "RUNNING", BEGAN))
    assert not left
    return said


@pytest.mark.parametrize(
    "passing",
    [EndpointConnectionError(endpoint_url="https://api.sagemaker"), refusal("ThrottlingException", 400), refusal("InternalFailure", 500)],
    ids=["no network", "throttled", "a fault of the service"],
)
def test_counts_that_cannot_be_read_for_a_while_end_no_watch(monkeypatch: pytest.MonkeyPatch, passing: Exception) -> None:
    assert followed(monkeypatch, JOB, passing, JOB) == ["training, 2 of 4 jobs"], "the last counts stand meanwhile"
    assert followed(monkeypatch, passing, JOB) == ["training", "training, 2 of 4 jobs"]


def test_credentials_that_expire_under_a_watch_say_that_the_tuning_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, errors_as_sentences():
        followed(monkeypatch, JOB, refusal("ExpiredTokenException", 400))
    assert ended.value.exit_code == ExitCode.NO_ACCOUNT
    assert "tuning-1 goes on: `tune watch tuning-1` follows it again" in capsys.readouterr().err


def test_every_verb_has_its_row() -> None:
    section = COMMANDS.partition("\n## tune\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z]+)[^`]*` \|", section, re.MULTILINE)
    assert rows == [verb.callback.__name__ for verb in tune.registered_commands if verb.callback]
