"""The gates that a candidate must pass before it is registered: a pure function with a reason for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.names import RECENT_UNSURE
from lambdas.tuning.evaluation import Evaluation, SliceScore

MOST_REASONS, LONGEST_REASON = 10, 400
"""Reasons of one candidate, and characters of one, in a state machine's payload."""
LEAST_GROUPS_TO_JUDGE, LEAST_GROUPS_TO_COMPARE = 20, 30
"""Below, a bootstrap interval says too little: of a single group it has no width at all."""
DIFFERENCE = "lower end of the macro_f1 difference to the champion"


@dataclass(frozen=True)
class GatePolicy:
    """``gates`` of the settings; docs/settings.md has bounds and meaning."""

    min_macro_f1: float
    min_gain_over_majority: float
    min_gain_over_tfidf: float
    max_loss_to_champion: float
    min_class_recall: float
    min_slice_accuracy: float


@dataclass(frozen=True)
class GateResult:
    """One gate: the measured value against its limit.

    ``value`` is None when it is undefined: what cannot be shown is refused, unless the limit asks for nothing (``waived``).
    ``refused_since``: words for a refusal that the two numbers do not explain.
    """

    gate: str
    value: float | None
    limit: float
    refused_since: str = ""
    waived: bool = False

    @property
    def passed(self) -> bool:
        return self.waived if self.value is None else self.value >= self.limit

    @property
    def reason(self) -> str:
        if self.value is None:
            return self.refused_since
        if self.refused_since and not self.passed:
            return self.refused_since
        relation = "at least" if self.passed else "below"
        return f"{self.gate} is {self.value:.3f}, {relation} the limit {self.limit:.3f}"


def refusal(error: str) -> GateResult:
    """The gate that a candidate without an evaluation fails: there is nothing to judge it by."""
    return GateResult("evaluation", None, 0.0, f"the evaluation failed: {error}")


def refusals(gates: Sequence[GateResult]) -> list[str]:
    """Why a candidate is refused, for a state machine's payload: the first reasons, each cut, and how many more there are.

    A dataset may have hundreds of slices, each with two gates; all of them are in ``gates.json``.
    """
    reasons = [gate.reason for gate in gates if not gate.passed]
    shown = [reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..." for reason in reasons[:MOST_REASONS]]
    more = len(reasons) - len(shown)
    return [*shown, f"{more} more gates refused it, which gates.json names"] if more else shown


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
    elif evaluation.champion is not None:
        why = f"{DIFFERENCE} is undefined: every test text is in the slice {RECENT_UNSURE}, which cannot compare the two; add other texts"
        results.append(GateResult(DIFFERENCE, None, -policy.max_loss_to_champion, why))
    results += [
        GateResult(f"upper end of the macro_f1 difference to the champion in slice {name}", one.macro_f1.high, -policy.max_loss_to_champion)
        for name, one in sorted(evaluation.difference_by_slice.items())
        if one.groups >= LEAST_GROUPS_TO_COMPARE and name != RECENT_UNSURE
    ]
    results += [recall_gate(label, value, policy.min_class_recall) for label, value in sorted(evaluation.class_recall.items())]
    results += [
        GateResult(f"upper end of the accuracy of slice {name}", one.accuracy.high, policy.min_slice_accuracy)
        for name, one in sorted(evaluation.by_slice.items())
        if one.groups >= LEAST_GROUPS_TO_JUDGE
    ]
    return results


def recall_gate(label: str, value: float | None, limit: float) -> GateResult:
    """A class without test texts cannot be judged: it refuses, unless no recall is asked for."""
    why = f"recall of class {label} is undefined: no test text has this label; add some, or set gates.min_class_recall to 0"
    return GateResult(f"recall of class {label}", value, limit, why if value is None else "", waived=limit <= 0)


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
    return GateResult(DIFFERENCE, low, -most, why)
