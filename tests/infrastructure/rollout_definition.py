"""The rollout's state machine of the dev stage, as it is deployed, with a look every hour."""

from __future__ import annotations

from typing import Any

from apps import template_of
from deployed_definition import definition
from endpoint_choices import DEV

from stacks.rollout.stack import RolloutStack

HOURLY = DEV.model_copy(update={"rollout": DEV.rollout.model_copy(update={"step_seconds": 3_600})})


def rollout_definition() -> dict[str, Any]:
    return definition(template_of(RolloutStack, HOURLY))
