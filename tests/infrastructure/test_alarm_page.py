"""The alarm table of docs/operations.md lists every alarm of the app, and every state machine whose failure is told, and no other."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from deployed_definition import resolve, stage_names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
BY_CHOICE = {f"<prefix>-{name}" for name in ("promise-refuted", "watch-promise-errors")}
"""Alarms that no stage of the project has; test_monitoring_stack.py makes them."""
FAILED = re.compile(r"`<prefix>-(?P<machines>[^`]+)` failed")


def first_cells() -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split("## Alarms\n")[1].split("\n## ")[0]
    cells = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]
    assert cells[0] == "alarm"
    return cells[2:]


def alternatives(name: str) -> Iterator[str]:
    """``a-{b,c}`` -> ``a-b``, ``a-c``; what stands in angle brackets may be anything."""
    parts = re.split(r"\{([^}]*)\}", re.sub(r"<(?!prefix)\w+>", "*", name))
    choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
    yield from ("".join(chosen) for chosen in itertools.product(*choices))


def deployed(assembly: Path, stage: str, kind: str, name: str) -> set[str]:
    found: set[str] = set()
    prefix = stage_names(stage).prefix
    for path in assembly.glob("*.template.json"):
        template: dict[str, Any] = json.loads(path.read_bytes())
        given = [resolve(template, item["Properties"].get(name)) for item in template["Resources"].values() if item["Type"] == kind]
        found |= {str(one).replace(prefix, "<prefix>", 1) for one in given}
    return found


def on_the_page(stage: str, synthesised: Callable[[str], Path]) -> dict[str, list[str]]:
    """Alarm -> what the page lists it as."""
    alarms = deployed(synthesised(stage), stage, "AWS::CloudWatch::Alarm", "AlarmName")
    return {alarm: [name for name in listed() if fnmatchcase(alarm, name)] for alarm in alarms}


def listed() -> list[str]:
    return [name for cell in first_cells() if not FAILED.match(cell) for name in alternatives(cell.strip("`"))]


@pytest.mark.parametrize("stage", ["dev", "prod", "newacct"])
def test_every_alarm_is_on_the_page_once(stage: str, synthesised: Callable[[str], Path]) -> None:
    assert {alarm: names for alarm, names in on_the_page(stage, synthesised).items() if len(names) != 1} == {}


def test_every_alarm_on_the_page_exists(synthesised: Callable[[str], Path]) -> None:
    """Stages choose: only ``newacct`` captures by the app's own function and asks on its own page, and only others have labelling jobs."""
    chosen = {names[0] for stage in ("dev", "newacct") for names in on_the_page(stage, synthesised).values()}
    assert set(listed()) == chosen | BY_CHOICE


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_page_names_the_machines_whose_failure_is_told(stage: str, synthesised: Callable[[str], Path]) -> None:
    rules = {name for name in deployed(synthesised(stage), stage, "AWS::Events::Rule", "Name") if name.endswith("-failed")}
    (told,) = (found for cell in first_cells() if (found := FAILED.match(cell)))
    assert rules == {f"<prefix>-{machine}-failed" for machine in alternatives(told["machines"])}
