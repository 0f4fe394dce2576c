"""The labels that are most likely wrong, found by confident learning from confidence out of fold.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021. A label is in doubt when a model that
was not trained on the text gives another label at least the confidence that texts of that label have on average: so many may be wrong.
Which ones is ranked by the margin of the other label. The model is the baseline of TF-IDF with logistic regression: it learns in seconds,
so three of them can leave out a third of the groups each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.dataset import Row
from model_code.baseline import QUICK_WEIGHTS, Baseline, sampled_groups
from model_code.scoring import Floats, Labels

FOLDS, MOST_ROWS, MOST_SHOWN = 3, 6_000, 50
METHOD = (
    "Confident learning (Northcutt et al. 2021): three models of TF-IDF with logistic regression, each asked about the third of the groups "
    "that it was not trained on. A label is in doubt when such a model is as sure of another label as it is, on average, of the texts "
    "that have that other label. The list is ranked by how much more sure it is of the other label."
)


def labels_in_doubt(rows: Sequence[Row], truth: Labels, labels: int, *, seed: int) -> dict[str, Any]:
    """``{"method","rows","of_rows","found","texts":[{"row","suggested","confidence","own_confidence"}]}``, most doubtful first.

    ``found`` counts the labels in doubt; the list has the most doubtful of all, whether they are counted or not. ``row`` and
    ``suggested`` are indices. At most :data:`MOST_ROWS` rows are looked at, in whole groups.
    """
    chosen = sampled_groups([row.group for row in rows], MOST_ROWS, seed)
    confidence, own = _out_of_fold([rows[index] for index in chosen], truth[chosen], labels), truth[chosen]
    each = np.arange(len(own))
    thresholds = np.array([confidence[own == label, label].mean() if (own == label).any() else 2.0 for label in range(labels)])
    others = confidence.copy()
    others[each, own] = -1.0
    sure = others >= thresholds
    # A frequent label may be the likelier one although the model is as sure of a rare one only.
    suggested = np.where(sure.any(axis=1), np.where(sure, others, -1.0).argmax(axis=1), others.argmax(axis=1))
    margin = others[each, suggested] - confidence[each, own]
    doubtful = sure.any(axis=1) & (margin > 0)
    ranked = np.argsort(-margin, kind="stable")[: min(MOST_SHOWN, int((margin > 0).sum()))]
    return {
        "method": METHOD,
        "rows": len(chosen),
        "of_rows": len(rows),
        "found": int(doubtful.sum()),
        "texts": [
            {
                "row": int(chosen[index]),
                "suggested": int(suggested[index]),
                "confidence": round(float(confidence[index, suggested[index]]), 3),
                "own_confidence": round(float(confidence[index, own[index]]), 3),
            }
            for index in ranked
        ],
    }


def _out_of_fold(rows: Sequence[Row], truth: Labels, labels: int) -> Floats:
    """Probabilities (rows, labels) of models that were not trained on the row's group; the rows stand in random order of the groups."""
    texts = np.array([row.text for row in rows], dtype=object)
    numbers = {group: number for number, group in enumerate(dict.fromkeys(row.group for row in rows))}
    fold, found = np.array([numbers[row.group] % FOLDS for row in rows]), np.zeros((len(rows), labels))
    for number in range(FOLDS):
        held_out = fold == number
        if held_out.any() and not held_out.all():
            found[held_out] = Baseline(list(texts[~held_out]), truth[~held_out], labels, weights=QUICK_WEIGHTS).probabilities(
                list(texts[held_out])
            )
    return found
