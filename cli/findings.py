"""What a check found: one finding is one sentence for a person, with its cure. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How much a finding matters. Only a failure makes a command fail."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It could not be looked at: a missing right, or nothing in the account that shows it."""
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Finding:
    """One result of one check.

    Args:
        check: the check's name, as ``--only`` takes it.
        message: one sentence that names the thing, its value and what is needed.
        cure: what to do, as a sentence or a command; empty when all is well.
        setting: the line of ``settings/<stage>.yaml`` that avoids the finding, where one does.
    """

    check: str
    level: Level
    message: str
    cure: str = ""
    setting: str = ""

    def to_json(self) -> dict[str, str]:
        return {key: str(value) for key, value in asdict(self).items()}


def has_failure(findings: Iterable[Finding]) -> bool:
    return any(finding.level is Level.FAILURE for finding in findings)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Level -> how many findings have it; levels without a finding are 0."""
    found: dict[str, int] = {level.value: 0 for level in Level}
    for finding in findings:
        found[finding.level.value] += 1
    return found


def report(findings: Iterable[Finding], **context: Any) -> dict[str, Any]:
    """The JSON form of a run: context, counts and every finding."""
    listed = list(findings)
    return {**context, "counts": counts(listed), "findings": [finding.to_json() for finding in listed]}
