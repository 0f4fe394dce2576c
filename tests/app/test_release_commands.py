"""``release`` on the deployed app, as a person and a pipeline call it: first release, refusals, watching, aborting, promoting, the page."""

from __future__ import annotations

import itertools
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
from embedded_aws.tools import deployer, launcher
from lambdas.rollout.progress import RolloutPolicy
from stacks.application import build_app

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
    scaling = app.settings.hosting.scaling
    assert scaling is not None
    assert (app.weights()["challenger"], app.counts()["challenger"]) == (0.0, scaling.min_instances)
    assert app.bounds()["challenger"] == (scaling.min_instances, scaling.min_instances), "the canary had opened them"
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


def test_a_challenger_that_people_refute_ends_the_pipelines_command_with_its_code(
    app: ReleasedApp, run: Callable[..., Result], champion: str
) -> None:
    """What ``rollout.yml`` runs. Its job fails, and the endpoint serves as before."""
    name = json.loads(run("start", app.register(TinyModel("worse-1", wrong_share=1.0)), "--json").stdout)["id"]
    app.write_pairs(name, agreed=4, said=["positive"] * 12)
    watched = run("watch", name, "--every", "0.2")
    assert watched.exit_code == ExitCode.ROLLED_BACK, watched.output
    assert "the challenger is worse: " in watched.output
    assert app.running() == {"champion": champion, "challenger": champion}
    assert app.weights() == {"champion": 1.0, "challenger": 0.0}
    assert app.endpoint()["EndpointStatus"] == "InService"
    records = [app.client("ssm").get_parameter(Name=app.names.parameter(name)) for name in ("release", "experiment", "rollout-control")]
    assert [record["Parameter"]["Value"] for record in records] == [f"{champion},{champion}", "none", "none"]


# -- people speak to a rollout, and somebody deploys meanwhile ---------------------------------------


@pytest.fixture(scope="module")
def assemblies(app: ReleasedApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What is deployed next: a changed endpoint stack, then the one of before, and so on."""
    changed = tmp_path_factory.mktemp("changed") / "cdk.out"
    hosting = app.settings.hosting.model_copy(update={"capture_percent": 90})
    build_app(app.settings.model_copy(update={"hosting": hosting}), changed).synth()
    return itertools.cycle((changed, app.assembly))


@pytest.fixture
def paused(
    app: ReleasedApp, run: Callable[..., Result], champion: str, assemblies: Iterator[Path], wait_until: Callable[..., Any]
) -> Callable[..., tuple[str, str]]:
    """Starts a rollout with these options, which pauses, and deploys meanwhile; the rollout's id and its package."""

    def begin(policy: RolloutPolicy, *options: str, weights: dict[str, float], champion_runs: bool = True) -> tuple[str, str]:
        challenger = app.register(TinyModel(f"paused-{policy.replace('_', '-')}"))
        started = json.loads(run("start", challenger, "--policy", policy, *options, "--json").stdout)
        assert run("pause", "--reason", "a deploy").exit_code == ExitCode.DONE
        wait_until(lambda: decisions(run) == {"hold"}, seconds=120)
        app.suspend_scaling(True)  # the counts shall be what this test set, not what the autoscaler makes of them
        counts = app.counts()
        app.change(DesiredInstanceCount={"champion": counts["champion"] + 1})
        before = app.endpoint()["EndpointConfigName"]
        deployer.deploy(next(assemblies), app.emulator.url, [app.names.stack("endpoint")])
        assert app.endpoint()["EndpointConfigName"] != before
        assert app.weights() == pytest.approx(weights)
        assert app.counts() == {**counts, "champion": counts["champion"] + 1}
        assert app.running() == {"champion": champion if champion_runs else challenger, "challenger": challenger}
        app.change(DesiredInstanceCount={"champion": counts["champion"]})
        app.suspend_scaling(False)
        told = run("status")
        assert ("paused by " in told.output, decisions(run)) == (True, {"hold"})
        return started["id"], challenger

    return begin


def decisions(run: Callable[..., Result]) -> set[str]:
    """Of the rollout that runs, else of the newest."""
    rollout = json.loads(run("status", "--json").stdout)["rollout"]
    return {one["decision"] for one in rollout["decisions"]}


def test_a_deploy_in_a_shadow_changes_neither_weights_nor_counts_nor_models(
    app: ReleasedApp, run: Callable[..., Result], champion: str, paused: Callable[..., tuple[str, str]]
) -> None:
    paused(RolloutPolicy.SHADOW, weights={"champion": 1.0, "challenger": 0.0})
    assert run("abort", "--yes", "--every", "0.2").exit_code == ExitCode.DONE
    assert app.running() == {"champion": champion, "challenger": champion}


def test_a_canary_goes_on_after_a_pause_and_a_deploy_until_somebody_approves(
    app: ReleasedApp, run: Callable[..., Result], paused: Callable[..., tuple[str, str]], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    champion, share = app.running()["champion"], app.settings.rollout.weight_steps[0]
    name, challenger = paused(RolloutPolicy.CANARY, "--approval", "manual", weights={"champion": 1 - share, "challenger": share})
    app.write_pairs(name)
    assert run("resume").exit_code == ExitCode.DONE
    wait_until(lambda: "await_approval" in decisions(run), seconds=60)
    assert app.running()["champion"] == champion
    assert run("approve", "--reason", "looks good").exit_code == ExitCode.DONE
    watched = run("watch", name, "--every", "0.2", "--json")
    assert watched.exit_code == ExitCode.DONE, watched.output
    assert (lines(watched)[-1]["outcome"], "approved by " in lines(watched)[-1]["reason"]) == ("promoted", True)
    assert app.running() == {"champion": challenger, "challenger": challenger}
    page = tmp_path / "page.html"
    assert run("explain", name, "--html", str(page)).exit_code == ExitCode.DONE
    said = page.read_text(encoding="utf-8").lower()
    for words in ("paused by", "await approval", "a loss of 5.0 points is refuted", "approved by"):
        assert words in said
    assert run("promote", champion, "--yes", "--every", "0.2").exit_code == ExitCode.DONE


def test_blue_green_goes_on_after_a_pause_and_a_deploy_in_its_watch(
    app: ReleasedApp, run: Callable[..., Result], champion: str, paused: Callable[..., tuple[str, str]]
) -> None:
    name, challenger = paused(RolloutPolicy.BLUE_GREEN, weights={"champion": 1.0, "challenger": 0.0}, champion_runs=False)
    assert run("resume").exit_code == ExitCode.DONE
    assert run("watch", name, "--every", "0.2").exit_code == ExitCode.DONE
    assert app.running() == {"champion": challenger, "challenger": challenger}
    assert run("promote", champion, "--yes", "--every", "0.2").exit_code == ExitCode.DONE
