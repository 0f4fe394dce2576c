"""docs/commands.md and docs/architecture.md say what the commands do."""

from __future__ import annotations

import re
from pathlib import Path

from cli.doctor.checks import CHECKS
from cli.smoke.assumptions import ASSUMPTIONS, proven
from cli.smoke.command import LEGS

DOCS = Path(__file__).resolve().parents[3] / "docs"


def first_cells(text: str) -> list[str]:
    """The names in the first column of the tables of a text."""
    return re.findall(r"^\| `([a-z-]+)` \|", text, flags=re.MULTILINE)


def test_every_check_and_every_leg_has_its_row() -> None:
    page = (DOCS / "commands.md").read_text(encoding="utf-8")
    doctor, smoke, *_ = page.split("\n## ")[1:]
    assert first_cells(doctor) == [check.name for check in CHECKS]
    assert first_cells(smoke) == [leg.name for leg in LEGS]


def test_every_assumption_has_its_row() -> None:
    section = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## What only AWS can prove")[2]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+?) \| (.+?) \|$", section, flags=re.MULTILINE)
    wanted = [(item.id, item.text, ", ".join(f"`{leg}`" for leg in item.legs) or "nothing yet") for item in ASSUMPTIONS]
    assert rows == wanted


def test_assumptions_name_legs_that_exist_and_are_proven_by_all_of_them() -> None:
    known = {leg.name for leg in LEGS}
    assert all(set(item.legs) <= known for item in ASSUMPTIONS)
    now, still = proven(["tuning"])
    assert {item.id for item in now} == {"keys-of-jobs", "sync-fields", "training-image"}
    assert len(now) + len(still) == len(ASSUMPTIONS)
