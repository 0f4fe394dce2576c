"""The commands of a job of GitHub Actions: pure, what the file says with its expressions filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{ *(?:inputs|vars)\.(\w+)(?: *\|\|[^}]*)? *\}\}")
_SETUP = re.compile(r"make install")
"""Whoever runs the commands here has done this."""


class UnknownStep(ValueError):
    """A step that cannot be run here: the text names it."""


@dataclass(frozen=True)
class Command:
    """One ``run`` of a job.

    Args:
        environment: of the job, which its token names.
        role: name of the role that the job has taken on by then; None before.
    """

    text: str
    variables: Mapping[str, str]
    environment: str
    role: str | None


def commands(path: Path, job: str, given: Mapping[str, str]) -> Iterator[Command]:
    """The commands of a job, in their order, without those that install.

    Args:
        path: the workflow's file.
        given: values of its inputs and of the environment's variables.

    Raises:
        UnknownStep: an expression has no value, or a step is an action that nothing here stands for.
    """
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"][job]
    variables = {name: _filled(str(value), given) for name, value in found.get("env", {}).items()}
    environment, role = _filled(found.get("environment", ""), given), None
    for step in found["steps"]:
        action = step.get("uses", "").partition("@")[0]
        if action == "aws-actions/configure-aws-credentials":
            role = _filled(step["with"]["role-to-assume"], given).rpartition("/")[2]
        elif "run" in step and not _SETUP.fullmatch(step["run"]):
            own = {name: _filled(str(value), given) for name, value in step.get("env", {}).items()}
            yield Command(_filled(step["run"], given), {**variables, **own}, environment, role)
        elif action and not action.startswith("actions/"):
            raise UnknownStep(f"{path.name}, job {job}: nothing here stands for the action {action}")


def _filled(text: str, given: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in given:
            raise UnknownStep(f"the expression {found[0]} has no value: give {found[1]}")
        return given[found[1]]

    filled = _EXPRESSION.sub(value, text)
    if "${{" in filled:
        raise UnknownStep(f"the expression in {text!r} is neither of inputs nor of vars")
    return filled
