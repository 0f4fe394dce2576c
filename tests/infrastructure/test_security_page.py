"""docs/security.md lists every role of the app, and says of none that it only reads when it may write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed_definition import stage_names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "security.md"
BY_CHOICE = {("monitoring", "WatchPromiseRole"): True, ("review", "MailAnnounceRole"): True}
"""Roles that no stage of the project has; test_monitoring_stack.py and test_hosted_backend.py make them."""
READING = re.compile(r"^\w[\w-]*:(Get|List|Describe|Query|BatchGet|BatchCheck)")
SHARED = re.compile(r"^(logs|xray|kms):|^cloudwatch:PutMetricData$")


def written() -> dict[tuple[str, str], bool]:
    """``(stack, role)`` -> whether the page says that it writes or starts something."""
    found, stack = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[1].startswith("`"):
            stack = cells[0] or stack
            found[stack, cells[1].strip("`")] = bool(cells[3])
    return found


def statements(resources: dict[str, Any], role: str) -> Iterator[dict[str, Any]]:
    for item in resources.values():
        if item["Type"] == "AWS::IAM::Policy" and {"Ref": role} in item["Properties"]["Roles"]:
            yield from item["Properties"]["PolicyDocument"]["Statement"]


def actions(resources: dict[str, Any], role: str) -> set[str]:
    listed = [statement["Action"] for statement in statements(resources, role)]
    return {action for entry in listed for action in ([entry] if isinstance(entry, str) else entry)}


def deployed_roles(stage: str, synthesised: Callable[[str], Path]) -> dict[tuple[str, str], bool]:
    """``(stack, role)`` -> whether it may write or start something."""
    roles = {}
    for path in synthesised(stage).glob("*.template.json"):
        stack = path.name.removeprefix(stage_names(stage).stack("")).removesuffix(".template.json")
        resources = json.loads(path.read_bytes())["Resources"]
        for name, item in resources.items():
            if item["Type"] == "AWS::IAM::Role":
                able = {action for action in actions(resources, name) if not READING.match(action) and not SHARED.match(action)}
                roles[stack, re.sub(r"[0-9A-F]{8}$", "", name)] = bool(able or item["Properties"].get("ManagedPolicyArns"))
    return roles


@pytest.mark.parametrize("stage", ["dev", "prod", "newacct"])
def test_the_page_lists_every_role_and_says_of_none_that_it_only_reads_when_it_may_write(
    stage: str, synthesised: Callable[[str], Path]
) -> None:
    roles, page = deployed_roles(stage, synthesised), written()
    assert set(roles) <= set(page)
    assert [role for role, able in roles.items() if able and not page[role]] == []


def test_the_page_lists_no_role_and_no_writing_that_no_stage_has(synthesised: Callable[[str], Path]) -> None:
    """Stages choose: with ``hosting.capture: app`` a function writes captured data, and the models' role does not."""
    roles: dict[tuple[str, str], bool] = {}
    for stage in ("dev", "newacct"):
        for role, able in deployed_roles(stage, synthesised).items():
            roles[role] = roles.get(role, False) or able
    assert written() == roles | BY_CHOICE


@pytest.mark.parametrize(("stack", "role", "action"), [
    ("rollout", "JudgeRolloutRole", "cloudwatch:GetMetricData"), ("review", "FlowHandlerRole", "sagemaker:ListHumanLoops"),
])  # fmt: skip
def test_every_action_on_any_resource_has_its_own_reason(stack: str, role: str, action: str, synthesised: Callable[[str], Path]) -> None:
    template = json.loads((synthesised("dev") / f"{stage_names('dev').stack(stack)}.template.json").read_bytes())["Resources"]
    (found,) = (item for name, item in template.items() if item["Type"] == "AWS::IAM::Role" and name.startswith(role))
    reasons = {rule["id"]: rule["reason"] for rule in found["Metadata"]["cdk_nag"]["rules_to_suppress"]}
    assert re.search(rf"{action}: \w+", reasons["AwsSolutions-IAM5[Resource::*]"])
