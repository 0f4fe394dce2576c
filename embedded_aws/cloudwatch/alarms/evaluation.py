"""The state of an alarm from its datapoints: M out of N, and what missing data means. Pure.

Source: CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data", whose two tables are the tests.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
Datapoint = float | None

EXTRA_PERIODS = 2
"""Periods that are looked at beyond EvaluationPeriods, so that real data are used before missing ones are filled in."""

COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class Criteria:
    """What makes an alarm go off.

    Attributes:
        evaluation_periods: N.
        datapoints_to_alarm: M, at most N.
        missing: ``missing``, ``ignore``, ``breaching`` or ``notBreaching``.
    """

    comparison: str
    threshold: float
    evaluation_periods: int
    datapoints_to_alarm: int
    missing: str = "missing"

    @property
    def periods_to_read(self) -> int:
        return self.evaluation_periods + EXTRA_PERIODS

    def breaches(self, value: float) -> bool:
        return COMPARISONS[self.comparison][0](value, self.threshold)


def evaluate(criteria: Criteria, datapoints: Sequence[Datapoint]) -> State | None:
    """The new state; None when the current one is kept.

    Args:
        datapoints: one value a period, oldest first; None where nothing was published.
    """
    wanted, needed = criteria.evaluation_periods, criteria.datapoints_to_alarm
    real = [value for value in datapoints if value is not None]
    if len(real) >= wanted:
        return "ALARM" if _count(criteria, real[-wanted:]) >= needed else "OK"
    breaching, filled = _count(criteria, real), wanted - len(real)
    if criteria.missing in ("breaching", "notBreaching"):
        breaching += filled if criteria.missing == "breaching" else 0
        return "ALARM" if breaching >= needed else "OK"
    if breaching >= needed:
        return "ALARM"
    return _from_too_few(criteria, datapoints, real, breaching)


def _from_too_few(criteria: Criteria, datapoints: Sequence[Datapoint], real: Sequence[float], breaching: int) -> State | None:
    """``missing`` and ``ignore`` with fewer than N real datapoints, fewer than M of them breaching."""
    if real and breaching < len(real):
        return "OK"
    if criteria.missing == "ignore":
        return None
    if not real:
        return "INSUFFICIENT_DATA"
    return "ALARM" if _age_of_oldest(datapoints) >= criteria.datapoints_to_alarm else "OK"


def _count(criteria: Criteria, values: Sequence[float]) -> int:
    return sum(criteria.breaches(value) for value in values)


def _age_of_oldest(datapoints: Sequence[Datapoint]) -> int:
    """In periods, counted from 1 for the newest."""
    return len(datapoints) - next(index for index, value in enumerate(datapoints) if value is not None)


def reason(criteria: Criteria, datapoints: Sequence[Datapoint], ends: Sequence[str], old: State, new: State) -> str:
    """CloudWatch's sentence for a state change; ``ends`` are the datapoints' time stamps as text."""
    if new == "INSUFFICIENT_DATA":
        plural = "s were" if criteria.evaluation_periods > 1 else " was"
        return f"Insufficient Data: {criteria.evaluation_periods} datapoint{plural} unknown."
    shown = [(value, end) for value, end in zip(datapoints, ends, strict=True) if value is not None][-criteria.evaluation_periods :]
    words = COMPARISONS[criteria.comparison][1]
    alarming = new == "ALARM"
    number = sum(criteria.breaches(value) == alarming for value, _ in shown)
    verb = ("were" if number != 1 else "was") + ("" if alarming else " not")
    listed = ", ".join(f"{value} ({end})" for value, end in reversed(shown))
    if not shown:
        treated = "Breaching" if alarming else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {criteria.evaluation_periods} period"
            f"{'s' if criteria.evaluation_periods > 1 else ''} and {criteria.evaluation_periods} missing datapoint"
            f"{'s were' if criteria.evaluation_periods > 1 else ' was'} treated as [{treated}]."
        )
    least = criteria.datapoints_to_alarm if alarming else criteria.evaluation_periods - criteria.datapoints_to_alarm + 1
    return (
        f"Threshold Crossed: {number} out of the last {criteria.evaluation_periods} datapoints [{listed}] {verb} {words} the threshold"
        f" ({criteria.threshold}) (minimum {least} datapoint{'s' if least > 1 else ''} for {old} -> {new} transition)."
    )
