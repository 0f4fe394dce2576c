"""What a run would take in an account, and the commands that take its data there."""

from __future__ import annotations

from pathlib import Path

from local.demo.account import cost, next_steps
from local.demo.summary import Trial
from stacks.names import Names
from stacks.settings import load_settings

DEV = load_settings(Path(__file__).resolve().parents[3] / "settings" / "dev.yaml")


def trial(seconds: float) -> Trial:
    return Trial(name="t", status="Completed", objective=0.7, hyperparameters={}, seconds=seconds)


def test_what_is_billed_follows_from_the_settings_and_the_run() -> None:
    tuning, endpoint, people = cost(DEV, [trial(900), trial(900)], review_share=0.2)
    assert tuning["amount"] == "0.50 h of ml.g4dn.xlarge in all"
    assert endpoint["amount"] == "4 x 730 h of ml.m5.large a month"
    # 0.2 + 0.8 x 0.05 of 1,000 texts, three people each
    assert people["amount"] == "720 answers"
    alone = DEV.model_copy(update={"hosting": DEV.hosting.model_copy(update={"scaling": None, "initial_instance_count": 1})})
    assert [row["amount"] for row in cost(alone, [], review_share=0.2)][1] == "2 x 730 h of ml.m5.large a month"


def test_the_steps_end_with_the_training_and_name_the_stage_of_the_run() -> None:
    commands = [step["command"] for step in next_steps(DEV, "upload THESE")]
    assert commands[1] == "upload THESE"
    other = next_steps(DEV.model_copy(update={"name": "other"}), "upload THESE")[2]["command"]
    assert "arn:aws:states:us-east-1:$ACCOUNT:stateMachine:other-dev-tuning" in other
    assert other.replace("other-dev", Names(DEV, "$ACCOUNT").prefix) == commands[2]
