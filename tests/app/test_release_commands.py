"""``release`` on the deployed app, as a person and a pipeline call it: first release, refusals, watching, aborting, promoting, the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from released_app import ReleasedApp, TinyModel, deploy
from typer.testing import CliRunner, Result

from cli.exit_codes import ExitCode
from cli.main import app as command
from embedded_aws.tools import launcher

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[ReleasedApp]:
    with deploy(tmp_path_factory.mktemp("app"), assembly=synthesised("dev")) as deployed:
        yield deployed


def variables(app: ReleasedApp) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": app.emulator.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@pytest.fixture
def run(app: ReleasedApp) -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(command, ["release", *arguments], env=variables(app))

    return invoke


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(scope="module")
def champion(app: ReleasedApp) -> str:
    """Released by the command, as the first thing that this module does."""
    package = app.register(TinyModel("champion-1"))
    version = package.rpartition("/")[2]
    done = CliRunner().invoke(command, ["release", "start", version, "--watch", "--every", "0.2", "--json"], env=variables(app))
    assert done.exit_code == ExitCode.DONE, done.output
    *_, end = lines(done)
    assert (end["event"], end["outcome"], end["champion"]) == ("end", "released", package)
    return package


def test_the_champion_again_changes_nothing(run: Callable[..., Result], champion: str) -> None:
    done = run("start", champion, "--watch", "--every", "0.2")
    assert done.exit_code == ExitCode.DONE, done.output
    assert "nothing to do" in done.output


def test_what_cannot_be_released_is_refused_before_anything_starts(app: ReleasedApp, run: Callable[..., Result], champion: str) -> None:
    waiting = app.register(TinyModel("waiting-1"), approval="PendingManualApproval")
    before = len(json.loads(run("history", "--json").stdout))
    for arguments, said in (
        (("start", waiting), "approve it"),
        (("start", "99"), "does not exist"),
        (("start", waiting, "--stage", "prod"), "is not deployed"),
        (("start", waiting, "--stage", "nowhere"), "stages with a file"),
    ):
        refused = run(*arguments)
        assert refused.exit_code == ExitCode.REFUSED, refused.output
        assert said in refused.stderr
    assert len(json.loads(run("history", "--json").stdout)) == before


def test_a_rollout_is_watched_and_aborted_and_its_page_written(
    app: ReleasedApp, run: Callable[..., Result], champion: str, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    challenger = app.register(TinyModel("challenger-1"))
    started = json.loads(run("start", challenger, "--reason", "a test", "--json").stdout)
    watching = subprocess.Popen(
        [sys.executable, "-m", "cli", "release", "watch", started["id"], "--every", "0.2", "--json"],
        cwd=launcher.ROOT, env={**os.environ, **variables(app)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: json.loads(run("status", "--json").stdout)["rollout"]["share"], seconds=60)
        again = run("start", challenger)
        assert (again.exit_code, "`release abort` ends it" in again.stderr) == (ExitCode.REFUSED, True)
        unsure = run("abort")
        assert (unsure.exit_code, "nothing was changed" in unsure.stderr) == (ExitCode.REFUSED, True)
        aborted = run("abort", "--yes", "--every", "0.2")
        assert aborted.exit_code == ExitCode.DONE, aborted.output
        assert "withdrawn" in aborted.output
        said = watching.communicate(timeout=60)[0].splitlines()
    finally:
        watching.kill()
    assert watching.returncode == ExitCode.WITHDRAWN
    end = json.loads(said[-1])
    assert (end["outcome"], end["asked"], end["challenger"]) == ("stopped", "a test", challenger)
    assert app.running() == {"champion": champion, "challenger": champion}
    page = tmp_path / "page.html"
    explained = run("explain", started["id"], "--html", str(page))
    assert explained.exit_code == 0
    assert started["id"] in page.read_text(encoding="utf-8")
    newest = json.loads(run("history", "--json", "--limit", "2").stdout)
    assert [one["outcome"] for one in newest] == ["withdrawn", "stopped"]


def test_the_challenger_of_a_running_rollout_is_promoted_at_once(app: ReleasedApp, run: Callable[..., Result], champion: str) -> None:
    assert run("promote", "--yes").exit_code == ExitCode.REFUSED, "no rollout runs"
    better = app.register(TinyModel("better-1"))
    started = json.loads(run("start", better, "--json").stdout)
    time.sleep(1)
    done = run("promote", "--yes", "--every", "0.2")
    assert done.exit_code == ExitCode.DONE, done.output
    assert app.running() == {"champion": better, "challenger": better}
    (stopped,) = [one for one in json.loads(run("history", "--json").stdout) if one["id"] == started["id"]]
    assert stopped["outcome"] == "stopped"
    assert run("promote", champion, "--yes", "--every", "0.2").exit_code == ExitCode.DONE


def test_a_failed_rollout_is_redriven_unless_a_newer_one_came(app: ReleasedApp, run: Callable[..., Result], champion: str) -> None:
    machine = app.names.arn("states", f"stateMachine:{app.names.state_machine('rollout')}")
    app.client("stepfunctions").start_execution(
        stateMachineArn=machine, name="failed-1", input='{"champion": "none", "challenger": "none"}'
    )
    assert run("watch", "failed-1", "--every", "0.2").exit_code == ExitCode.REFUSED, "nothing was begun"
    redriven = run("redrive", "--yes", "--watch", "--every", "0.2")
    assert redriven.exit_code == ExitCode.REFUSED, "the cause is still there"
    assert "releases nothing" in redriven.output
    assert run("start", champion, "--watch", "--every", "0.2").exit_code == ExitCode.DONE
    overtaken = run("redrive", "failed-1", "--yes")
    assert (overtaken.exit_code, "is newer than failed-1" in overtaken.stderr) == (ExitCode.REFUSED, True)
