"""``report.json``: what an evaluation says of a team's own data. Form: docs/contracts.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.dataset import Row
from contracts.intervals import critical_value
from contracts.report.page import SCHEMA_VERSION
from contracts.shared_words import RECENT_UNSURE
from model_code.report.errors import by_rule, confusions, surest_errors
from model_code.report.frozen_layers import FrozenLayers
from model_code.report.labels_in_doubt import labels_in_doubt
from model_code.report.learning_curve import learning_curve
from model_code.report.reliability import reliability
from model_code.scoring import Labels, Resamples, scores

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
WIDE = 0.2
"""Half an interval of recall beyond which a class is said to have too few test texts."""
LONGEST_TEXT = 400


@dataclass(frozen=True)
class Evaluated:
    """What a report is made of: the rows by split, the model's answers to the test texts, and ``evaluation.json``.

    ``lengths``: word pieces of (some of) the texts of each split. ``truth`` holds indices of ``labels`` by split. ``ordinary``: the test
    texts that the figures are of, (test texts,).
    """

    rows: Mapping[str, Sequence[Row]]
    truth: Mapping[str, Labels]
    labels: Sequence[str]
    answers: Sequence[Mapping[str, Any]]
    predicted: Labels
    ordinary: NDArray[np.bool_]
    evaluation: Mapping[str, Any]
    lengths: Mapping[str, NDArray[np.int32]]
    max_length: int
    frozen: FrozenLayers | None
    seed: int

    def narrowed(self) -> Evaluated:
        """The same with the ordinary test texts alone."""
        test, answers = self.rows["test"], self.answers
        inside: list[int] = np.flatnonzero(self.ordinary).tolist()
        frozen = None if self.frozen is None else replace(self.frozen, answers=[self.frozen.answers[index] for index in inside])
        return replace(
            self,
            rows={**self.rows, "test": [test[index] for index in inside]},
            truth={**self.truth, "test": self.truth["test"][inside]},
            answers=[answers[index] for index in inside],
            predicted=self.predicted[inside],
            ordinary=self.ordinary[inside],
            frozen=frozen,
        )


def report_content(made: Evaluated, *, full: bool) -> dict[str, Any]:
    """All that the page shows. Without ``full`` it leaves out what has to train models: labels in doubt and the learning curve.
    ``frozen_layers`` is there when it was measured.

    ``trials``, ``cost`` and ``next_steps`` are None: whoever knows them adds them before the page is written (their form:
    ``contracts/report/page.py``).
    """
    splits = [
        {"split": name, "rows": len(rows), "groups": len({row.group for row in rows}), "labels": len(np.unique(made.truth[name]))}
        for name, rows in made.rows.items()
    ]
    left_out = not made.ordinary.all()
    made = made.narrowed()
    test, truth, said = made.rows["test"], made.truth["test"], made.evaluation
    confidence = np.array([answer["confidence"] for answer in made.answers])
    correct = made.predicted == truth
    return {
        "schema_version": SCHEMA_VERSION,
        **{
            name: said[name]
            for name in ("model_version", "champion_version", "dataset_version", "label_names", "overall", "references", "review")
        },
        "differences": {name: said[f"difference_to_{name}"] for name in ("champion", "best", "tfidf")},
        "left_out": RECENT_UNSURE if left_out else None,
        "trained_on": said.get("trained_on"),
        "frozen_layers": _frozen(made),
        "splits": splits,
        "classes": _classes(made),
        "lengths": _lengths(made),
        "confusions": _named(confusions(truth, made.predicted, len(made.labels)), made.labels),
        "by_slice": said["by_slice"],
        "by_rule": by_rule(test, made.answers, correct),
        "surest_errors": [_error(test[index], made.answers[index]) for index in surest_errors(confidence, correct)],
        "key_examples": said["key_examples"],
        "calibration": reliability(confidence, correct, [row.group for row in test], seed=made.seed),
        "labels_in_doubt": _in_doubt(made) if full else None,
        "learning_curve": _curve(made) if full else None,
        "trials": None,
        "cost": None,
        "next_steps": None,
    }


def _frozen(made: Evaluated) -> dict[str, Any] | None:
    if made.frozen is None:
        return None
    place, test = {label: index for index, label in enumerate(made.labels)}, made.rows["test"]
    answers = np.array([place[label] for label in made.frozen.answers])
    found = scores(made.truth["test"], answers, Resamples.draw([row.group for row in test], count=1_000, seed=made.seed))
    return {"layers": made.frozen.layers, "rows": made.frozen.rows, "of_rows": made.frozen.of_rows, **found}


def _classes(made: Evaluated) -> list[dict[str, Any]]:
    """Largest first. ``needed``: test texts for an interval of recall of 20 points to either side, where there are fewer."""
    counts = {name: np.bincount(truth, minlength=len(made.labels)) for name, truth in made.truth.items()}
    needed = math.ceil((critical_value() / WIDE) ** 2 / 4)
    found = []
    for index in np.argsort(-counts["train"], kind="stable"):
        label = made.labels[index]
        entry, texts = made.evaluation["by_class"][label], int(counts["test"][index])
        found.append(
            {
                "label": label,
                **{name: int(counts[name][index]) for name in counts},
                **{name: entry[name] for name in ("precision", "precision_interval", "recall", "f1")},
                "needed": needed if texts < needed else None,
            }
        )
    return found


def _lengths(made: Evaluated) -> dict[str, Any]:
    return {
        "unit": "word pieces",
        "max_length": made.max_length,
        "quantiles": list(QUANTILES),
        "splits": {
            name: {"texts": len(pieces), "pieces": [int(value) for value in np.quantile(pieces, QUANTILES, method="inverted_cdf")]}
            for name, pieces in made.lengths.items()
        },
        "truncated": made.evaluation["truncated"],
    }


def _named(found: dict[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    return {
        "labels": list(labels) if found["matrix"] else None,
        "matrix": found["matrix"],
        "pairs": [{**pair, "truth": labels[pair["truth"]], "answer": labels[pair["answer"]]} for pair in found["pairs"]],
        "confusable": [{**pair, "labels": [labels[index] for index in pair["labels"]]} for pair in found["confusable"]],
    }


def _error(row: Row, answer: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": row.id, "text": _cut(row.text), "label": row.label, "answer": answer["label"], "confidence": answer["confidence"]}


def _in_doubt(made: Evaluated) -> dict[str, Any]:
    rows = [*made.rows["train"], *made.rows["validation"]]
    found = labels_in_doubt(rows, np.concatenate([made.truth["train"], made.truth["validation"]]), len(made.labels), seed=made.seed)
    texts = [
        {
            "id": rows[one["row"]].id,
            "text": _cut(rows[one["row"]].text),
            "label": rows[one["row"]].label,
            **one,
            "suggested": made.labels[one["suggested"]],
        }
        for one in found["texts"]
    ]
    return {**found, "texts": [{name: value for name, value in text.items() if name != "row"} for text in texts]}


def _curve(made: Evaluated) -> dict[str, Any]:
    rows, truth = made.rows, made.truth
    return learning_curve(rows["train"], truth["train"], len(made.labels), rows["test"], truth["test"], seed=made.seed)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 3]}..."
