"""Every AWS command of docs/operations.md exists, with its options, as botocore's models have them."""

from __future__ import annotations

import re
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8").replace("\\\n", " ")
COMMANDS = sorted(set(re.findall(r"aws ([a-z0-9-]+) ([a-z]+-[a-z-]+)([^`\n|#]*)", PAGE.replace("aws s3api", "aws s3"))))
GLOBAL = {"query", "output", "region"}
SERVICES = botocore.session.get_session()


@pytest.mark.parametrize(("service", "command", "rest"), COMMANDS, ids=[" ".join(item[:2]) for item in COMMANDS])
def test_the_command_and_its_options_exist(service: str, command: str, rest: str) -> None:
    model = SERVICES.get_service_model(service)
    operation = next(name for name in model.operation_names if xform_name(name, "-") == command)
    shape = model.operation_model(operation).input_shape
    members = {xform_name(name, "-"): name for name in shape.members}
    members |= {f"no-{flag}": name for flag, name in members.items() if shape.members[name].type_name == "boolean"}
    given = set(re.findall(r"\s--([a-z-]+)", rest)) - GLOBAL
    assert given <= set(members)
    missing = set(shape.required_members) - {members[flag] for flag in given}
    assert not missing or not given, f"{command} needs {missing}"  # named alone, a command is only mentioned


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 12
