"""What a run would take in an account, and the commands that take its data there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.demo.account import cost, next_steps
from local.demo.summary import Trial
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
    assert commands[1:] == ["upload THESE", ".venv/bin/python -m cli tune start --watch --stage dev"]


@pytest.mark.parametrize("review", [{"threshold": 0.5}, {"backend": "none", "threshold": 0.0, "audit_share": 0.0}])
def test_people_cost_nothing_that_is_known_where_the_models_own_threshold_does_not_ask_them(review: dict[str, Any]) -> None:
    settings = DEV.model_copy(update={"review": DEV.review.model_copy(update=review)})
    assert [row["what"] for row in cost(settings, [trial(1)], review_share=0.2)][1:] == ["the endpoint, always on"]


def test_where_a_third_person_is_asked_only_at_need_the_answers_are_the_most_there_can_be() -> None:
    hosted = DEV.model_copy(update={"review": DEV.review.model_copy(update={"backend": "hosted"})})
    [*_, people] = cost(hosted, [], review_share=0.2)
    assert (people["amount"], "reviewed by at most 3" in people["basis"]) == ("at most 720 answers", True)
