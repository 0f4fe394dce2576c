"""The gate for the recall of every class, which has to bear both three classes and two hundred."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from contracts.intervals import critical_value, tries_to_refute, wilson
from contracts.labels import name_of
from lambdas.tuning.check_gates.result import GateResult
from lambdas.tuning.evaluation import ClassRecall


def recall_gates(classes: Mapping[str, ClassRecall | None], limit: float, names: Mapping[str, str]) -> list[GateResult]:
    """A class refuses only when its recall is shown to be below the limit: by the upper end of its interval.

    The intervals hold for all classes together with 95 % (Bonferroni), so a model whose classes all reach the limit is refused by chance
    in at most 2.5 % of evaluations, however many classes there are. A class with too few test texts to show anything says so, and all
    such classes are judged as one. A class without test texts refuses, unless no recall is asked for.
    """
    judged = {label: recall for label, recall in classes.items() if recall is not None}
    if limit <= 0:
        return [_plain(name_of(label, names), recall, limit) for label, recall in sorted(classes.items())]
    critical = critical_value(max(1, len(judged)))
    needed = tries_to_refute(limit, critical)
    few = {label: recall for label, recall in judged.items() if recall.effective_texts < needed}
    gates = []
    for label, recall in sorted(classes.items()):
        name = name_of(label, names)
        if recall is None:
            gates.append(_plain(name, recall, limit))
        elif label in few:
            gates.append(_too_few(f"recall of class {name}", recall, limit, needed))
        else:
            gates.append(_shown(f"recall of class {name}", recall, limit, critical, len(judged)))
    if len(few) > 1:
        together, what = _together(list(few.values())), f"recall of the {len(few)} classes of few test texts together"
        enough = together.effective_texts >= needed
        gates.append(_shown(what, together, limit, critical, len(judged)) if enough else _too_few(what, together, limit, needed))
    return gates


def _plain(name: str, recall: ClassRecall | None, limit: float) -> GateResult:
    gate = f"recall of class {name}"
    if recall is not None:
        return GateResult(gate, recall.value, limit)
    why = f"{gate} is undefined: no test text has this label; add some, or set gates.min_class_recall to 0"
    return GateResult(gate, None, limit, why, waived=limit <= 0)


def _shown(what: str, recall: ClassRecall, limit: float, critical: float, classes: int) -> GateResult:
    low, high = wilson(recall.value, recall.effective_texts, critical)
    sure = "95 %" if classes == 1 else f"95 % for all {classes} classes together"
    why = f"{what} is {recall.value:.3f} on {recall.texts} test texts ({low:.3f} to {high:.3f}, {sure}), below the limit {limit:.3f}"
    return GateResult(f"upper end of the {what}", high, limit, why)


def _too_few(what: str, recall: ClassRecall, limit: float, needed: int) -> GateResult:
    texts = math.ceil(needed * recall.texts / recall.effective_texts)
    why = (
        f"{what} is {recall.value:.3f} on {recall.texts} test texts, too few to judge: "
        f"about {texts} could show that it is below the limit {limit:.3f}"
    )
    return GateResult(what, recall.value, limit, unjudged=why)


def _together(recalls: Sequence[ClassRecall]) -> ClassRecall:
    """All texts of these classes as one class; each class weighs as many texts as it is worth."""
    size = sum(recall.effective_texts for recall in recalls)
    value = sum(recall.value * recall.effective_texts for recall in recalls) / size
    return ClassRecall(value, *wilson(value, size, critical_value()), texts=sum(recall.texts for recall in recalls), effective_texts=size)
