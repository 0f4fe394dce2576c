"""Every function gets the variables that its handler reads, in every stage, and no other one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from apps import template_of
from deployed_definition import resolve
from synthesis import ROOT

from lambdas.common.environment import InvalidEnvironment, read_environment
from stacks.labeling import LabelingStack
from stacks.review import ReviewStack
from stacks.settings import load_settings

OF_POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}
"""Read by the library in the layer, for every function."""


def functions(assembly: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Handler and resolved variables of every function of a stage."""
    for path in sorted(assembly.glob("*.template.json")):
        template: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                properties = resource["Properties"]
                yield properties["Handler"], resolve(template, properties["Environment"]["Variables"])


def problem(handler: str, variables: dict[str, str]) -> str | None:
    """What is wrong with the variables of one function, or None."""
    assert set(variables) >= OF_POWERTOOLS, handler
    own = {name: value for name, value in variables.items() if name not in OF_POWERTOOLS}
    environment = getattr(import_module(handler.rpartition(".")[0]), "Environment", None)
    known = set() if environment is None else {field.name.upper() for field in fields(environment)}
    if unknown := sorted(set(own) - known):
        return f"nothing reads {', '.join(unknown)}"
    try:
        if environment is not None:
            read_environment(environment, own)
    except InvalidEnvironment as error:
        return str(error)
    return None


@pytest.mark.parametrize("stage", ["dev", "prod", "newacct"])
def test_every_function_gets_the_variables_that_it_reads_and_no_other(stage: str, synthesised: Callable[[str], Path]) -> None:
    found = list(functions(synthesised(stage)))
    assert len({handler for handler, _ in found}) == len(found) > 0
    assert {handler: told for handler, variables in found if (told := problem(handler, variables))} == {}


@pytest.mark.parametrize("offered", [True, False])
def test_functions_that_ask_people_know_whether_they_may_say_that_they_cannot_tell(offered: bool) -> None:
    settings = load_settings(ROOT / "settings" / "dev.yaml")
    review = settings.review.model_copy(update={"cannot_tell": offered})
    told = {}
    for stack in (ReviewStack, LabelingStack):
        template = template_of(stack, settings.model_copy(update={"review": review}))
        for one in template.find_resources("AWS::Lambda::Function").values():
            variables = one["Properties"].get("Environment", {}).get("Variables", {})
            if "CANNOT_TELL" in variables:
                told[one["Properties"]["Handler"].split(".")[2]] = variables["CANNOT_TELL"]
    asking = ("start_review", "check_manifest", "pre_annotation", "consolidate_annotations")
    assert told == dict.fromkeys(asking, str(offered).lower())


HANDLER = "lambdas.retraining.plan_retraining.handler.handler"
POWERTOOLS = dict.fromkeys(OF_POWERTOOLS, "x")


@pytest.mark.parametrize(
    ("handler", "variables", "told"),
    [
        (HANDLER, {"RELEASE_PARAMETER": "/release"}, None),
        (HANDLER, {}, "Environment: RELEASE_PARAMETER is not set. The function's stack sets these variables."),
        (HANDLER, {"RELEASE_PARAMETER": "/release", "RELEASE": "x"}, "nothing reads RELEASE"),
        ("lambdas.rollout.finish_rollout.handler.handler", {"RELEASE": "x"}, "nothing reads RELEASE"),
    ],
)
def test_a_missing_and_an_unknown_variable_are_told(handler: str, variables: dict[str, str], told: str | None) -> None:
    assert problem(handler, {**POWERTOOLS, **variables}) == told
