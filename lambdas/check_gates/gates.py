"""The gates that a candidate must pass before it is registered: a pure function with a reason for each."""

from __future__ import annotations

from dataclasses import dataclass

from lambdas.common.evaluation import Evaluation


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
    """One gate: the measured value against its limit."""

    gate: str
    value: float
    limit: float

    @property
    def passed(self) -> bool:
        return self.value >= self.limit

    @property
    def reason(self) -> str:
        relation = "at least" if self.passed else "below"
        return f"{self.gate} is {self.value:.3f}, {relation} the limit {self.limit:.3f}"


def refusal(error: str) -> dict[str, object]:
    """The gate that a candidate without an evaluation fails: there is nothing to judge it by."""
    return {"gate": "evaluation", "value": None, "limit": None, "passed": False, "reason": f"the evaluation failed: {error}"}


def check_gates(evaluation: Evaluation, policy: GatePolicy) -> list[GateResult]:
    """All gates, in a fixed order.

    Against the champion the paired difference counts, since both saw the same texts. A slice may be a few dozen texts, chosen for
    being hard: it refuses a model only when even the upper end of the slice's interval is below the limit.
    """
    overall = evaluation.overall.macro_f1.value
    results = [
        GateResult("macro_f1", overall, policy.min_macro_f1),
        GateResult("macro_f1 gain over the largest class", overall - evaluation.majority.macro_f1.value, policy.min_gain_over_majority),
        GateResult("macro_f1 gain over TF-IDF", overall - evaluation.tfidf.macro_f1.value, policy.min_gain_over_tfidf),
    ]
    if evaluation.difference_to_champion is not None:
        difference = evaluation.difference_to_champion.macro_f1.value
        results.append(GateResult("macro_f1 difference to the champion", difference, -policy.max_loss_to_champion))
    results += [
        GateResult(f"recall of class {label}", value, policy.min_class_recall) for label, value in sorted(evaluation.class_recall.items())
    ]
    results += [
        GateResult(f"upper end of the accuracy of slice {name}", interval.high, policy.min_slice_accuracy)
        for name, interval in sorted(evaluation.slice_accuracy.items())
    ]
    return results
