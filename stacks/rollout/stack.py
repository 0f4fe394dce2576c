"""Rollout: release record -> endpoint stack updated under a narrow role -> running config verified -> weights -> promote or withdraw."""

from __future__ import annotations

from typing import Any

from aws_cdk import Environment, Stack
from constructs import Construct

from stacks.constructs.paired_scoring import PairedScoring
from stacks.constructs.shared import SharedResources
from stacks.rollout.functions import RolloutFunctions
from stacks.rollout.machine import rollout_machine
from stacks.rollout.update_role import EndpointUpdateRole
from stacks.settings import Settings
from stacks.template_names import template_names


class RolloutStack(Stack):
    """The ``rollout`` state machine, its functions, and the role by which CloudFormation updates the endpoint stack for it."""

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = template_names(settings)
        super().__init__(scope, self.names.stack("rollout"), env=Environment(region=settings.region), **kwargs)
        self.shared = SharedResources(self, settings)
        self.update_role = EndpointUpdateRole(self, "EndpointUpdateRole", shared=self.shared)
        self.functions = RolloutFunctions(self, shared=self.shared, update_role=self.update_role)
        if settings.review.asks_people:
            PairedScoring(self, "PairedScoring", shared=self.shared)
        self.machine = rollout_machine(self, shared=self.shared, functions=self.functions)
