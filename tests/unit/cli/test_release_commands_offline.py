"""``release`` as it is called, on recorded histories: exit codes, JSON lines, the page, and what a running rollout is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from cli.account import Account
from cli.executions import Execution, Machine
from cli.exit_codes import ExitCode
from cli.main import app
from cli.release.history import moment

RECORDED = Path(__file__).parent / "histories"
ARN = "arn:aws:states:eu-west-1:111122223333:execution:reviewloop-dev-rollout"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``release ...`` on an account whose rollouts are the recorded ones, or those whose events ``run.events`` holds."""
    histories: dict[str, list[dict[str, Any]]] = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDED.glob("*.json"))
    }

    def listed(self: Machine, *, status: str | None = None, most: int = 9) -> Any:
        for name, events in list(histories.items())[:most]:
            runs = not events[-1]["type"].startswith("Execution")
            if status is None or runs:
                began = moment(events[0]["timestamp"])
                assert began is not None
                yield Execution(f"{ARN}:{name}", name, "RUNNING" if runs else "SUCCEEDED", began)

    def events(self: Machine, arn: str, *, after: int = 0) -> list[dict[str, Any]]:
        return [event for event in histories[arn.rpartition(":")[2]] if event["id"] > after]

    monkeypatch.setattr(Account, "identity", {"Account": "111122223333", "Arn": "arn:aws:sts::111122223333:assumed-role/ops/ada"})
    monkeypatch.setattr(Account, "stack", lambda self, name: {"StackName": name})
    monkeypatch.setattr(Machine, "listed", listed)
    monkeypatch.setattr(Machine, "events", events)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["release", *arguments])

    invoke.histories = histories  # type: ignore[attr-defined]  # a test may add one
    return invoke


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("promoted", ExitCode.DONE),
        ("rolled_back", ExitCode.ROLLED_BACK),
        ("inconclusive", ExitCode.INCONCLUSIVE),
        ("withdrawn", ExitCode.WITHDRAWN),
        ("aborted", ExitCode.WITHDRAWN),
        ("refused", ExitCode.REFUSED),
    ],
)
def test_the_outcome_of_a_watched_rollout_is_the_exit_code(run: Any, name: str, code: int) -> None:
    done = run("watch", name, "--json")
    assert done.exit_code == code
    *before, end = [json.loads(line) for line in done.stdout.splitlines()]
    assert (end["event"], end["id"], end["exit_code"]) == ("end", name, code)
    assert {one["event"] for one in before} <= {"weights", "decision"}


def test_a_log_gets_one_line_for_each_thing_that_happened(run: Any) -> None:
    lines = run("watch", "promoted").stdout.splitlines()
    assert [line.split("  ")[1].split(":")[0] for line in lines] == [
        "the challenger gets 20 % of the traffic",
        "the challenger gets 50 % of the traffic",
        "the challenger gets 0 % of the traffic",
        "advance",
        "promote",
        "promoted",
    ]


def test_a_rollout_is_explained_in_json_and_its_page_written(run: Any, tmp_path: Path) -> None:
    page = tmp_path / "deep" / "page.html"
    done = run("explain", "refused", "--html", str(page), "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["outcome"], document["page"]) == (0, "refused", str(page))
    assert "releases nothing" in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_hides_no_outcome(run: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    page = str(tmp_path / "file" / "page.html")
    watched = run("watch", "rolled_back", "--html", page)
    assert (watched.exit_code, "the page cannot be written" in watched.stderr) == (ExitCode.ROLLED_BACK, True)
    assert "`release explain rolled_back --html FILE`" in watched.stderr
    explained = run("explain", "rolled_back", "--html", page)
    assert (explained.exit_code, "the page cannot be written" in explained.stderr) == (ExitCode.FAILED, True)
    assert isinstance(explained.exception, SystemExit), "a sentence, and no traceback"


@pytest.mark.parametrize("code", ["ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException"])
def test_credentials_that_expire_under_a_watch_say_that_the_rollout_goes_on(run: Any, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def expired(self: Machine, arn: str, *, after: int) -> Any:
        answer: Any = {"Error": {"Code": code, "Message": "expired"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        raise ClientError(answer, "GetExecutionHistory")

    monkeypatch.setattr(Machine, "news", expired)
    ended = run("watch", "promoted")
    assert ended.exit_code == ExitCode.NO_ACCOUNT
    assert "promoted goes on: `release watch promoted` follows it again" in ended.stderr
    assert f"AWS refused the credentials ({code}: expired): renew them" in ended.stderr


@pytest.mark.parametrize("verb", ["pause", "resume", "approve"])
def test_nobody_is_told_anything_while_no_rollout_runs(run: Any, verb: str) -> None:
    refused = run(verb)
    assert refused.exit_code == ExitCode.REFUSED
    assert "no rollout runs" in refused.stderr


def test_a_rollout_that_needs_no_approval_is_not_approved(run: Any) -> None:
    progress = {"approval": "automatic", "weights": []}
    exited = {"name": "LayOut", "output": json.dumps({"progress": progress})}
    run.histories["automatic"] = [
        {"id": 1, "type": "ExecutionStarted", "timestamp": "2026-03-01T12:00:00+00:00", "executionStartedEventDetails": {"input": "{}"}},
        {"id": 2, "type": "PassStateExited", "timestamp": "2026-03-01T12:00:01+00:00", "stateExitedEventDetails": exited},
    ]
    refused = run("approve")
    assert (refused.exit_code, "has approval automatic: it needs nobody's" in refused.stderr) == (ExitCode.REFUSED, True)


def test_a_newer_rollout_keeps_an_older_one_from_being_redriven(run: Any) -> None:
    refused = run("redrive", "refused", "--yes")
    assert (refused.exit_code, "`release start PACKAGE`" in refused.stderr) == (ExitCode.REFUSED, True)
    nobody = run("redrive", "aborted")
    assert (nobody.exit_code, "nothing was changed: answer y, or give --yes" in nobody.stderr) == (ExitCode.REFUSED, True)
