"""What reviewing does to the labels, on recorded votes: figures of the product's own functions. No model is needed here.

A text has the recorded votes of 18 raters. The votes of those who are asked are drawn from them, and the others decide what is right. So
nobody is compared with themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.review_promise import Promise, evidence
from lambdas.common.answers_wanted import AnswerPolicy, AnswerRule, ModelPrior, answers_wanted
from lambdas.common.consolidation import ByModelPrior, Plurality
from lambdas.common.dawid_skene import estimate
from lambdas.common.review import HumanAnswer
from model_code.review_threshold import certify, threshold_for_share

MOST_ASKED = 3
SHARES = (0.0, 0.1, 0.2, 0.3)
CERTAINTIES = (0.7, 0.8, 0.85, 0.9)
"""0.85 is the default of :class:`~lambdas.common.answers_wanted.ModelPrior`."""
HISTORIES = (200, 1_000)
PROMISE = Promise(0.10, 0.95)

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Pool:
    """Texts of one kind that the model never learnt.

    Attributes:
        probabilities: of the model, (texts, labels).
        truth: by all raters, (texts,).
        raters: recorded votes, (texts, raters).
        groups: (texts,); texts of one review have the same number.
    """

    labels: tuple[str, ...]
    probabilities: Floats
    truth: Indices
    raters: Indices
    groups: Indices

    @property
    def predicted(self) -> Indices:
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> Floats:
        return np.asarray(self.probabilities.max(axis=1).round(6))


@dataclass(frozen=True)
class Asked:
    """One draw of votes, (texts, :data:`MOST_ASKED`), who gave them, and what the other raters say, (texts,)."""

    votes: Indices
    columns: Indices
    right: Indices


def ask(pool: Pool, rng: np.random.Generator) -> Asked:
    order = rng.permuted(np.tile(np.arange(pool.raters.shape[1]), (len(pool.truth), 1)), axis=1)
    drawn = np.take_along_axis(pool.raters, order, axis=1)
    others = drawn[:, MOST_ASKED:]
    counts = np.stack([(others == label).sum(axis=1) for label in range(len(pool.labels))], axis=1).astype(float)
    counts[np.arange(len(counts)), pool.truth] += 0.5  # a tie goes to what all raters say
    return Asked(drawn[:, :MOST_ASKED], order[:, :MOST_ASKED], counts.argmax(axis=1))


def given(pool: Pool, asked: Asked, text: int) -> list[HumanAnswer]:
    pairs = zip(asked.columns[text].tolist(), asked.votes[text].tolist(), strict=True)
    return [HumanAnswer(f"column-{column}", pool.labels[vote], 0.0) for column, vote in pairs]


def until_enough(answers: Sequence[HumanAnswer], policy: AnswerPolicy) -> Sequence[HumanAnswer]:
    """The answers that the policy asks for, one after the other."""
    count = 0
    while count < answers_wanted(answers[:count], policy):
        count += 1
    return answers[:count]


def promise_figures(pool: Pool, texts: int, *, resamples: int, rng: np.random.Generator) -> dict[str, Any]:
    """How often the certified threshold keeps :data:`PROMISE` in the pool, when ``texts`` texts of it, in whole groups, calibrate it.

    The pool stands for all texts: each calibration set is drawn from it with replacement, and the error is that of the whole pool.
    ``point_rule``: the lowest threshold whose error on the calibration set is within the promise, without a test.
    """
    wrong, confidence = pool.predicted != pool.truth, pool.confidence
    members = [np.flatnonzero(pool.groups == group) for group in np.unique(pool.groups)]
    held, shares, point_held, kept = [], [], [], 0
    for _ in range(resamples):
        drawn: list[Indices] = []
        while sum(map(len, drawn)) < texts:
            drawn.append(members[int(rng.integers(len(members)))])
        index = np.concatenate(drawn)
        groups = np.repeat(np.arange(len(drawn)), [len(group) for group in drawn])
        found = certify(confidence[index], wrong[index], groups, PROMISE)
        alone = confidence >= found.threshold if found.kept else np.zeros(len(wrong), dtype=bool)
        kept += found.kept
        shares.append(float(alone.mean()))
        held.append(not alone.any() or bool(wrong[alone].mean() <= PROMISE.max_error))
        alone = confidence >= _point_rule(confidence[index], wrong[index])
        point_held.append(not alone.any() or bool(wrong[alone].mean() <= PROMISE.max_error))
    return {
        "texts": texts,
        "resamples": resamples,
        "guarantee_held_share": float(np.mean(held)),
        "certified_share": kept / resamples,
        "auto_accepted_share": spread(shares),
        "point_rule_held_share": float(np.mean(point_held)),
    }


def _point_rule(confidence: Floats, wrong: NDArray[np.bool_]) -> float:
    order = np.argsort(-confidence, kind="stable")
    errors = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    within = np.flatnonzero(errors <= PROMISE.max_error)
    return float(confidence[order[within[-1]]]) if len(within) else 2.0


def watched(pool: Pool, threshold: float, *, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """After how many audit labels :func:`evidence` refutes the promise on these texts; each label is the plurality of three votes."""
    alone, rule = np.flatnonzero(pool.confidence >= threshold), Plurality(pool.labels)
    if not len(alone):
        return {"error": None, "refuted_share": 0.0, "median_labels": None}
    wrong = pool.predicted != pool.truth
    after = []
    for _ in range(repeats):
        asked = ask(pool, rng)
        texts = rng.permutation(alone).tolist()
        said = ((text, rule.consolidate(given(pool, asked, text)).label) for text in texts)
        stream = (label != pool.labels[pool.predicted[text]] for text, label in said if label is not None)
        after.append(evidence(stream, PROMISE).refuted_after)
    found = [count for count in after if count is not None]
    return {
        "error": float(wrong[alone].mean()),
        "refuted_share": len(found) / repeats,
        "median_labels": float(np.median(found)) if found else None,
    }


def system_accuracy(pool: Pool, asked: Asked) -> dict[str, Any]:
    """Accuracy of model and people together, by the share that people see and by how many; and of people alone, who see all.

    Where people come to no label, the model's stands. ``adaptive``: the model's answer is a prior, with the default certainty. Its labels
    are for training only, so its figures say what the training labels are worth.
    """
    answers = [given(pool, asked, text) for text in range(len(pool.truth))]
    one = np.array([pool.labels.index(first[0].label or "") for first in answers])
    three = labels_of_people(pool, asked)
    adaptive = _adaptive(pool, answers)
    found: dict[str, Any] = {"one_person": _share(one == asked.right), "three_people": _share(three == asked.right)}
    for share in SHARES:
        seen = pool.confidence < threshold_for_share(pool.confidence, share)
        for reviewers, labels in ((1, one), (MOST_ASKED, three)):
            together = np.where(seen & (labels >= 0), labels, pool.predicted)
            found[f"{share:.0%} to {reviewers}"] = _share(together == asked.right)
        found[f"{share:.0%} adaptive"] = _share(np.where(seen & (adaptive >= 0), adaptive, pool.predicted) == asked.right)
    return found


def answers_saved(pool: Pool, asked: Asked, share: float = 0.2) -> dict[str, Any]:
    """Answers and accuracy of each rule on the texts that people see at this share; a text without a label is not right."""
    seen = np.flatnonzero(pool.confidence < threshold_for_share(pool.confidence, share)).tolist()
    right = asked.right[seen]
    every = [given(pool, asked, text) for text in seen]

    def figures(used: Sequence[Sequence[HumanAnswer]], labels: Indices) -> dict[str, float]:
        return {"answers": float(np.mean([len(each) for each in used])), "accuracy": _share(labels == right)}

    fixed = _plurality(pool, every)
    less = [until_enough(each, AnswerPolicy(AnswerRule.TWO_THEN_THIRD)) for each in every]
    found: dict[str, Any] = {
        "one": figures([each[:1] for each in every], _plurality(pool, [each[:1] for each in every])),
        "fixed": figures(every, fixed),
        "two_then_third": {**figures(less, _plurality(pool, less)), "same_labels": _share(_plurality(pool, less) == fixed)},
    }
    for certainty in CERTAINTIES:
        asked_for = [_by_prior(pool, _prior(pool, text, certainty), each) for text, each in zip(seen, every, strict=True)]
        found[f"adaptive {certainty:g}"] = figures([used for used, _ in asked_for], np.array([label for _, label in asked_for]))
    return found


def labels_of_people(pool: Pool, asked: Asked) -> Indices:
    """What two people say of each text, and a third where they differ, (texts,); -1 where they come to no label."""
    answers = (given(pool, asked, text) for text in range(len(pool.truth)))
    return _plurality(pool, [until_enough(each, AnswerPolicy(AnswerRule.TWO_THEN_THIRD)) for each in answers])


def _prior(pool: Pool, text: int, certainty: float) -> ModelPrior:
    return ModelPrior(pool.labels[pool.predicted[text]], float(pool.confidence[text]), len(pool.labels), certainty=certainty)


def _by_prior(pool: Pool, prior: ModelPrior, answers: Sequence[HumanAnswer]) -> tuple[Sequence[HumanAnswer], int]:
    """The answers that the rule ``adaptive`` asks for, and the label that they give; -1 where there is none."""
    used = until_enough(answers, AnswerPolicy(AnswerRule.ADAPTIVE, MOST_ASKED, prior))
    label = ByModelPrior(Plurality(pool.labels), prior).consolidate(used).label
    return used, -1 if label is None else pool.labels.index(label)


def _adaptive(pool: Pool, answers: Sequence[Sequence[HumanAnswer]]) -> Indices:
    """The label of each text by the rule ``adaptive``, (texts,)."""
    return np.array([_by_prior(pool, _prior(pool, text, ModelPrior.certainty), each)[1] for text, each in enumerate(answers)])


def consolidation(pool: Pool, asked: Asked, *, reviewed: Indices) -> dict[str, Any]:
    """Right labels of the ``reviewed`` texts, three votes each: plurality, and Dawid and Skene's model on histories of several lengths.

    The model's history is the answers to the first texts of the pool, some of which are reviewed texts. It never sees what is right.
    """
    answers = [given(pool, asked, text) for text in range(len(pool.truth))]
    pairs = [[(answer.worker_id, answer.label or "") for answer in each] for each in answers]
    right = asked.right[reviewed]
    plurality = _plurality(pool, [answers[text] for text in reviewed.tolist()])
    found = {"plurality": _share(plurality == right), "without_label": _share(plurality < 0)}
    for history in HISTORIES:
        quality = estimate(pairs[:history], pool.labels)
        if quality is None:
            continue
        beliefs = [quality.posterior(pairs[text]) for text in reviewed.tolist()]
        best = np.array([_best(pool, each) for each in beliefs])
        sure = np.array([max(each.values()) > 0.5 for each in beliefs])
        found[f"dawid_skene {history}"] = _share((best == right) & sure)
    return found


def spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, and the values that one in twenty is below and above."""
    low, high = np.quantile(values, (0.05, 0.95))
    return {"mean": float(np.mean(values)), "low": float(low), "high": float(high)}


def _plurality(pool: Pool, answers: Sequence[Sequence[HumanAnswer]]) -> Indices:
    """Indices (texts,); -1 where there is no label."""
    rule = Plurality(pool.labels)
    labels = [rule.consolidate(each).label for each in answers]
    return np.array([-1 if label is None else pool.labels.index(label) for label in labels])


def _best(pool: Pool, beliefs: Mapping[str, float]) -> int:
    return max(range(len(pool.labels)), key=lambda label: beliefs[pool.labels[label]])


def _share(hits: NDArray[np.bool_]) -> float:
    return float(np.mean(hits)) if len(hits) else 0.0
