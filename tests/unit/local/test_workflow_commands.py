"""The commands of a workflow, as a dry run takes them from the file."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

from local.pipeline.__main__ import TimeIsUp, bounded, parse
from local.pipeline.workflow import UnknownStep, commands

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = ROOT / ".github" / "workflows"
GIVEN = {"AWS_ACCOUNT_ID": "000000000000", "AWS_REGION": "us-east-1"}


def test_a_job_deploys_under_its_role_with_its_variables() -> None:
    (command,) = commands(WORKFLOWS / "deploy.yml", "dev", GIVEN)
    assert command.text == "npx cdk deploy --all --require-approval never"
    assert (command.role, command.environment) == ("reviewloop-dev-pipeline-deploy-us-east-1", "dev")
    assert command.variables == {"REVIEWLOOP_STAGE": "dev"}


def test_inputs_stand_for_what_the_event_may_hold_instead() -> None:
    (command,) = commands(WORKFLOWS / "rollout.yml", "rollout", {**GIVEN, "stage": "prod", "package": "7"})
    assert (command.role, command.environment) == ("reviewloop-prod-pipeline-rollout-us-east-1", "prod-rollout")
    assert command.variables == {"STAGE": "prod", "PACKAGE": "7"}
    assert "${{" not in command.text


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("uses: acme/deploy@0123456789012345678901234567890123456789", "nothing here stands for the action acme/deploy"),
        ("run: make lint ${{ vars.MORE }}", "has no value: give MORE"),
        ("run: make lint ${{ github.ref }}", "neither of inputs nor of vars"),
    ],
)
def test_what_cannot_be_run_here_is_named(step: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yml"
    file.write_text(f"jobs:\n  one:\n    steps:\n      - {step}\n")
    with pytest.raises(UnknownStep, match=words):
        list(commands(file, "one", GIVEN))


def test_a_command_without_a_role_runs_before_one_is_taken_on_and_installing_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "own.yml"
    file.write_text(
        "jobs:\n  one:\n    steps:\n      - run: make install\n      - run: make lint\n"
        "      - uses: aws-actions/configure-aws-credentials@x\n        with: {role-to-assume: 'arn:aws:iam::1:role/mine'}\n"
        "      - run: make test\n"
    )
    assert [(command.text, command.role) for command in commands(file, "one", GIVEN)] == [("make lint", None), ("make test", "mine")]


def test_whatever_a_step_waits_for_ends_with_the_time() -> None:
    with pytest.raises(TimeIsUp), bounded(0.01 / 60), suppress(Exception):
        time.sleep(30)


@pytest.mark.parametrize("minutes", ["0", "-1", "1441", "soon"])
def test_minutes_that_cannot_be_are_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--minutes", minutes])
    assert minutes in capsys.readouterr().err
