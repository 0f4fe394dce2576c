"""What the rollout stack gives its judge: every setting that the policy reads, and the two indexes of reviews."""

from __future__ import annotations

from pathlib import Path

import pytest
from apps import new_app
from aws_cdk.assertions import Template
from deployed_definition import arn, grants, properties

from lambdas.common.environment import read_environment
from lambdas.rollout.judge_rollout import handler as judge
from lambdas.rollout.judge_rollout.policy import Policy, WithoutReviews
from stacks.rollout.stack import RolloutStack
from stacks.settings import load_settings

SETTINGS = Path(__file__).resolve().parents[2] / "settings"


@pytest.mark.parametrize(("stage", "without_reviews"), [("dev", WithoutReviews.ADVANCE), ("prod", WithoutReviews.HOLD)])
def test_the_judge_gets_every_setting_that_it_reads(stage: str, without_reviews: WithoutReviews) -> None:
    settings = load_settings(SETTINGS / f"{stage}.yaml")
    template = Template.from_stack(RolloutStack(new_app(), settings))
    functions = {item["FunctionName"]: item for item in properties(template, "AWS::Lambda::Function")}
    environment = read_environment(judge.Environment, functions[f"reviewloop-{stage}-judge-rollout"]["Environment"]["Variables"])
    rollout = settings.rollout
    assert environment.audit_share == settings.review.audit_share
    assert environment.policy == Policy(
        weight_steps=rollout.weight_steps,
        min_invocations=rollout.min_invocations,
        max_error_rate=rollout.max_error_rate,
        max_agreement_loss=rollout.max_agreement_loss,
        max_holds=rollout.max_holds,
        min_reviewed=rollout.min_reviewed,
        without_reviews=without_reviews,
    )


def test_the_judge_reads_reviews_by_their_indexes_alone() -> None:
    template = Template.from_stack(RolloutStack(new_app(), load_settings(SETTINGS / "dev.yaml")))
    found = {action: resources for action, resources in grants(template, "JudgeRolloutRole").items() if action.startswith("dynamodb:")}
    indexes = {arn("dynamodb", f"table/reviewloop-dev-predictions/index/{index}") for index in ("open-reviews", "reviewed-by-model")}
    assert found == {"dynamodb:Query": indexes}
