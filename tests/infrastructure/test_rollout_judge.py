"""What the rollout stack gives its judge: every setting that the policy reads, and the two tables, by the narrowest calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from apps import template_of
from deployed_definition import arn, grants, properties, stage_names

from lambdas.common.environment import read_environment
from lambdas.rollout.judge_rollout import handler as judge
from lambdas.rollout.judge_rollout.policy import AtEnd, Policy
from stacks.rollout.stack import RolloutStack
from stacks.settings import load_settings

SETTINGS = Path(__file__).resolve().parents[2] / "settings"


@pytest.mark.parametrize(("stage", "holds"), [("dev", 720), ("prod", 168)])
def test_the_judge_gets_every_setting_that_it_reads(stage: str, holds: int) -> None:
    settings, names = load_settings(SETTINGS / f"{stage}.yaml"), stage_names(stage)
    template = template_of(RolloutStack, settings)
    functions = {item["FunctionName"]: item for item in properties(template, "AWS::Lambda::Function")}
    environment = read_environment(judge.Environment, functions[names.function("judge-rollout")]["Environment"]["Variables"])
    rollout = settings.rollout
    assert environment.policy == Policy(
        weight_steps=rollout.weight_steps,
        margin=rollout.margin,
        error=rollout.error,
        at_end=AtEnd(rollout.at_end),
        max_holds=holds,
        min_invocations=rollout.min_invocations,
        max_error_rate=rollout.max_error_rate,
        max_latency_ratio=rollout.max_latency_ratio,
        max_confidence_loss=rollout.max_confidence_loss,
    )
    assert environment.challenger_alarms == names.operating_alarms("challenger")


def test_the_judge_reads_pairs_labels_and_what_people_told_the_rollout_and_writes_nothing() -> None:
    template = template_of(RolloutStack, load_settings(SETTINGS / "dev.yaml"))
    found, names = grants(template, "JudgeRolloutRole"), stage_names("dev")
    assert {action: resources for action, resources in found.items() if action.split(":")[0] in ("dynamodb", "ssm")} == {
        "dynamodb:Query": {arn("dynamodb", f"table/{names.pairs_table}")},
        "dynamodb:BatchGetItem": {arn("dynamodb", f"table/{names.predictions_table}")},
        "ssm:GetParameter": {arn("ssm", f"parameter{names.parameter('rollout-control')}")},
    }
