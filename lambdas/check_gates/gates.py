"""The gates that a candidate must pass before it is registered: a pure function with a reason for each."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lambdas.common.evaluation import Evaluation, SliceScore

LEAST_GROUPS_TO_JUDGE, LEAST_GROUPS_TO_COMPARE = 20, 30
"""Below, a bootstrap interval says too little: of a single group it has no width at all."""
UNSURE = "recent-unsure"
"""Slice of the texts that were reviewed since the champion was unsure of them: chosen by its weakness, they cannot compare with it."""


@dataclass(frozen=True)
class GatePolicy:
    """``gates`` of the settings; see stacks/settings.py for bounds and meaning."""

    min_macro_f1: float
    min_gain_over_majority: float
    min_gain_over_tfidf: float
    max_loss_to_champion: float
    min_class_recall: float
    min_slice_accuracy: float


@dataclass(frozen=True)
class GateResult:
    """One gate: the measured value against its limit. ``refused_since``: words for a refusal that the two numbers do not explain."""

    gate: str
    value: float
    limit: float
    refused_since: str = ""

    @property
    def passed(self) -> bool:
        return self.value >= self.limit

    @property
    def reason(self) -> str:
        if self.refused_since and not self.passed:
            return self.refused_since
        relation = "at least" if self.passed else "below"
        return f"{self.gate} is {self.value:.3f}, {relation} the limit {self.limit:.3f}"


def refusal(error: str) -> dict[str, object]:
    """The gate that a candidate without an evaluation fails: there is nothing to judge it by."""
    return {"gate": "evaluation", "value": None, "limit": None, "passed": False, "reason": f"the evaluation failed: {error}"}


def check_gates(evaluation: Evaluation, policy: GatePolicy) -> list[GateResult]:
    """All gates, in a fixed order.

    A slice may be a few dozen texts, chosen for being hard: it refuses a model only when even the upper end of its interval is below the
    limit, and not at all when it is too small for an interval.
    """
    overall = evaluation.overall.macro_f1.value
    results = [
        GateResult("macro_f1", overall, policy.min_macro_f1),
        GateResult("macro_f1 gain over the largest class", overall - evaluation.majority.macro_f1.value, policy.min_gain_over_majority),
        GateResult("macro_f1 gain over TF-IDF", overall - evaluation.tfidf.macro_f1.value, policy.min_gain_over_tfidf),
    ]
    if evaluation.difference_to_champion is not None:
        results.append(not_inferior(evaluation.difference_to_champion, policy.max_loss_to_champion))
    results += [
        GateResult(f"upper end of the macro_f1 difference to the champion in slice {name}", one.macro_f1.high, -policy.max_loss_to_champion)
        for name, one in sorted(evaluation.difference_by_slice.items())
        if one.groups >= LEAST_GROUPS_TO_COMPARE and name != UNSURE
    ]
    results += [
        GateResult(f"recall of class {label}", value, policy.min_class_recall) for label, value in sorted(evaluation.class_recall.items())
    ]
    results += [
        GateResult(f"upper end of the accuracy of slice {name}", one.accuracy.high, policy.min_slice_accuracy)
        for name, one in sorted(evaluation.by_slice.items())
        if one.groups >= LEAST_GROUPS_TO_JUDGE
    ]
    return results


def not_inferior(difference: SliceScore, most: float) -> GateResult:
    """Non-inferiority: not that no loss was seen, but that one of ``most`` or more is ruled out (by a 95 % interval, so with 97.5 %).

    The interval is paired, since both models saw the same texts. The number of groups that would do follows from its width, which falls
    with the square root of their number.
    """
    value, low, high = difference.macro_f1.value, difference.macro_f1.low, difference.macro_f1.high
    seen = f"the difference is {value:+.3f} ({low:+.3f} to {high:+.3f})"
    if value <= -most:
        why = f"macro_f1 is worse than the champion by {-value:.3f}, less than {most:.3f} may be lost: {seen}"
    else:
        needed = math.ceil(difference.groups * ((value - low) / (value + most)) ** 2)
        why = (
            f"macro_f1 is not shown to lose less than {most:.3f} to the champion: {seen}; "
            f"about {needed} groups would show it, {difference.groups} are there"
        )
    return GateResult("lower end of the macro_f1 difference to the champion", low, -most, why)
