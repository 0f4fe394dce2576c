"""The gates that a candidate must pass before it is registered: a pure function with a reason for each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.bounds import MAX_LENGTH
from contracts.labels import name_of
from contracts.shared_words import RECENT_UNSURE
from lambdas.tuning.check_gates.class_recall import recall_gates
from lambdas.tuning.check_gates.result import GateResult
from lambdas.tuning.evaluation import Evaluation, KeyExamples, SliceScore

MOST_REASONS, LONGEST_REASON = 10, 400
"""Reasons of one candidate, and characters of one, in a state machine's payload."""
EIGHTY_PERCENT = ((1.960 + 0.842) / 1.960) ** 2
"""How many times the groups that show a difference in half of all samples show it in 80 % of them (normal approximation)."""
MUCH_CUT = 0.05
"""Share of cut test texts from which on they may be why TF-IDF, which reads every text whole, is better."""
MOST_WRONG = 3
"""Key examples that a reason names."""
FORGET_BEST = (
    "; several small losses add up to this one: give the retraining more labels, or allow more with gates.max_loss_to_best; "
    "to forget that model, delete its package (best_package of the champion's package)"
)
"""What a reason adds where the best champion so far is not the running one."""
LEAST_GROUPS_TO_JUDGE, LEAST_GROUPS_TO_COMPARE = 20, 30
"""Below, a bootstrap interval says too little: of a single group it has no width at all."""
CHAMPION, BEST = "the champion", "the best champion so far"


@dataclass(frozen=True)
class GatePolicy:
    """``gates`` of the settings; docs/settings.md has bounds and meaning."""

    min_macro_f1: float
    min_gain_over_majority: float
    min_gain_over_tfidf: float
    max_loss_to_champion: float
    max_loss_to_best: float
    min_class_recall: float
    min_slice_accuracy: float
    min_key_examples: float


def refusal(error: str) -> GateResult:
    """The gate that a candidate without an evaluation fails: there is nothing to judge it by."""
    return GateResult("evaluation", None, 0.0, f"the evaluation failed: {error}")


def refusals(gates: Sequence[GateResult]) -> list[str]:
    """Why a candidate is refused, for a state machine's payload: the first reasons, each cut, and how many more there are.

    A dataset may have hundreds of slices, each with two gates; all of them are in ``gates.json``.
    """
    return _few([gate.reason for gate in gates if not gate.passed], "more gates refused it, which gates.json names")


def notes(gates: Sequence[GateResult]) -> list[str]:
    """What could not be judged, as :func:`refusals` says what was refused."""
    return _few([gate.reason for gate in gates if gate.unjudged], "more could not be judged, which gates.json names")


def _few(reasons: Sequence[str], others: str) -> list[str]:
    shown = [reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..." for reason in reasons[:MOST_REASONS]]
    more = len(reasons) - len(shown)
    return [*shown, f"{more} {others}"] if more else shown


def check_gates(evaluation: Evaluation, policy: GatePolicy) -> list[GateResult]:
    """All gates, in a fixed order.

    A slice may be a few dozen texts, chosen for being hard: it refuses a model only when even the upper end of its interval is below the
    limit, and not at all when it is too small for an interval. The slice ``recent-unsure`` refuses none: a model is expected to be worse on
    texts that models were unsure of, and every retraining adds some.

    Each retraining may lose a little to its champion. So a candidate is compared with the best champion so far, too.
    """
    overall = evaluation.overall.macro_f1.value
    results = [
        GateResult("macro_f1", overall, policy.min_macro_f1),
        GateResult("macro_f1 gain over the largest class", overall - evaluation.majority.macro_f1.value, policy.min_gain_over_majority),
        tfidf_gate(evaluation, policy.min_gain_over_tfidf),
    ]
    if evaluation.difference_to_champion is not None:
        results.append(not_inferior(evaluation.difference_to_champion, policy.max_loss_to_champion))
    elif evaluation.champion is not None:
        gate = _difference_to(CHAMPION)
        why = f"{gate} is undefined: every test text is in the slice {RECENT_UNSURE}, which cannot compare the two; add other texts"
        results.append(GateResult(gate, None, -policy.max_loss_to_champion, why))
    if evaluation.difference_to_best is not None and not evaluation.champion_is_best:
        results.append(not_inferior(evaluation.difference_to_best, policy.max_loss_to_best, BEST, FORGET_BEST))
    results += [
        GateResult(f"upper end of the macro_f1 difference to the champion in slice {name}", one.macro_f1.high, -policy.max_loss_to_champion)
        for name, one in sorted(evaluation.difference_by_slice.items())
        if one.groups >= LEAST_GROUPS_TO_COMPARE and name != RECENT_UNSURE
    ]
    results += recall_gates(evaluation.class_recall, policy.min_class_recall, evaluation.label_names)
    results += [
        GateResult(f"upper end of the accuracy of slice {name}", one.accuracy.high, policy.min_slice_accuracy)
        for name, one in sorted(evaluation.by_slice.items())
        if one.groups >= LEAST_GROUPS_TO_JUDGE and name != RECENT_UNSURE
    ]
    if evaluation.key_examples is not None:
        results.append(key_examples_gate(evaluation.key_examples, policy.min_key_examples, evaluation.label_names))
    return results


def tfidf_gate(evaluation: Evaluation, limit: float) -> GateResult:
    """TF-IDF reads every text to its end. If the candidate cuts many, the reason says so: that is the likely cause, and it has a cure."""
    own, simple, cut = evaluation.overall.macro_f1.value, evaluation.tfidf.macro_f1.value, evaluation.truncated
    why = ""
    if cut.texts >= MUCH_CUT:
        pieces = "" if cut.pieces is None else f" ({100 * cut.pieces:.0f} % of the word pieces are not read)"
        why = (
            f"macro_f1 gain over TF-IDF is {own - simple:+.3f} ({own:.3f} against {simple:.3f}), below the limit {limit:.3f}; the model "
            f"cut {100 * cut.texts:.0f} % of the test texts{pieces}, and TF-IDF reads them whole: "
            f"set a larger tuning.max_length (at most {MAX_LENGTH.high:g})"
        )
    return GateResult("macro_f1 gain over TF-IDF", own - simple, limit, why)


def key_examples_gate(examples: KeyExamples, limit: float, names: Mapping[str, str]) -> GateResult:
    """The reason names what broke: the first wrong texts, with the label and the answer."""
    wrong = examples.rows - examples.right
    shown = examples.wrong[:MOST_WRONG]
    broken = "; ".join(f"{one.text!r} is {name_of(one.label, names)}, not {name_of(one.answer, names)}" for one in shown)
    more = f"; and {wrong - MOST_WRONG} more" if wrong > MOST_WRONG else ""
    why = f"{wrong} of {examples.rows} key examples are wrong: {broken}{more}"
    return GateResult("share of key examples that are right", examples.right / examples.rows, limit, why)


def _difference_to(whom: str) -> str:
    return f"lower end of the macro_f1 difference to {whom}"


def not_inferior(difference: SliceScore, most: float, whom: str = CHAMPION, cure: str = "") -> GateResult:
    """Non-inferiority: the candidate passes when its 95 % interval excludes a loss of more than ``most``. That is 97.5 % sure (one-sided).

    It does not pass merely because no loss was seen. The interval is paired, since both models saw the same texts. Its width falls with
    the square root of the number of groups; the reason says how many groups would be enough if the true difference is the one seen.

    Args:
        whom: the model that it is compared with, in words. ``cure``: what else the reason says to do.
    """
    value, low, high = difference.macro_f1.value, difference.macro_f1.low, difference.macro_f1.high
    seen = f"the difference is {value:+.3f} ({low:+.3f} to {high:+.3f})"
    if value <= -most:
        why = f"macro_f1 is {-value:.3f} below that of {whom}, and at most {most:.3f} may be lost: {seen}"
    else:
        needed = math.ceil(EIGHTY_PERCENT * difference.groups * ((value - low) / (value + most)) ** 2)
        why = (
            f"macro_f1 is not shown to lose less than {most:.3f} to {whom}: {seen}; "
            f"about {needed} groups would show it in four of five tries, {difference.groups} are there"
        )
    return GateResult(_difference_to(whom), low, -most, why + cure)
