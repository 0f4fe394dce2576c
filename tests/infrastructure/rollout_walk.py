"""One rollout, walked through its deployed definition with the real functions, over services in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest
from rollout_definition import rollout_definition
from rollout_world import World
from state_walk import Killed, Walk

STEPS = (0.2, 0.5)
FUNCTIONS = ("plan_rollout", "apply_release", "check_release", "shift_weights", "finish_rollout")
CONTEXT = SimpleNamespace(function_name="f", memory_limit_in_mb=1, invoked_function_arn="a", aws_request_id="r")
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "plan_rollout": {
        "release_parameter": "/release", "endpoint_name": "e", "policy": "canary", "approval": "automatic", "first_share": STEPS[0],
        "longest_hours": 24.0, "asks_people": True,
    },
    "apply_release": {"release_parameter": "/release", "endpoint_name": "e", "stack_name": "s", "stack_role_arn": "arn:aws:iam::1:role/r"},
    "check_release": {"stack_name": "s", "endpoint_name": "e"},
    "shift_weights": {"endpoint_name": "e", "experiment_parameter": "/experiment", "fewest_instances": 2, "most_instances": 6},
    "finish_rollout": {"control_parameter": "/rollout-control", "experiment_parameter": "/experiment"},
}  # fmt: skip
Happening = Callable[[World], object]


@cache
def definition() -> dict[str, Any]:
    return rollout_definition()


@contextmanager
def functions_in(world: World) -> Iterator[dict[str, Callable[[dict[str, Any]], Any]]]:
    """The rollout's functions, whose calls go to the world."""
    with pytest.MonkeyPatch.context() as patch:
        found = {}
        for name in FUNCTIONS:
            module = import_module(f"lambdas.rollout.{name}.handler")
            environment = module.Environment(**ENVIRONMENTS[name])
            patch.setattr(module, "client", world.client)
            patch.setattr(module, "_environment", lambda environment=environment: environment)
            if hasattr(module, "datetime"):
                patch.setattr(module, "datetime", SimpleNamespace(now=world.clock))
            found[name] = lambda event, module=module: module.handler(event, CONTEXT)
        patch.setattr(import_module("lambdas.rollout.finish_rollout.handler").metrics.provider, "namespace", "test")
        yield found


def walked(
    world: World,
    content: Mapping[str, Any],
    *,
    judge: Callable[[dict[str, Any]], dict[str, Any]],
    at: Mapping[str, Happening] | None = None,
    killed: str | None = None,
    name: str = "r-1",
) -> tuple[Walk, dict[str, Any]]:
    """One execution. ``at``: what happens when a state is entered for the first time. ``killed``: a function that dies at the end of
    its first call."""
    happenings, victims = dict(at or {}), {killed}

    def entered(state: str) -> None:
        if happening := happenings.pop(state, None):
            happening(world)

    with functions_in(world) as functions:
        known = {"judge_rollout": judge, **functions}

        def call(resource: str, event: dict[str, Any]) -> Any:
            (function,) = (one for one in known if one.replace("_", "") in resource.lower())
            answer = known[function](event)
            if function in victims:
                victims.remove(function)
                raise Killed
            return answer

        walk = Walk(definition(), call, world.pass_by, entered, name=name)
        return walk, walk.run(content)


def everything_in_its_place(world: World, champion: str | None) -> None:
    """One model serves alone, in every sense."""
    assert world.parameters["/experiment"] == "none"
    assert world.record == (f"{champion},{champion}" if champion else "none,none")
    if champion is None:
        assert world.endpoint is None
        return
    assert world.runs == {"champion": champion, "challenger": champion}
    assert world.endpoint
    assert world.endpoint.status == "InService"
    assert world.endpoint.weights["challenger"] == 0
