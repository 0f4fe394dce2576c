"""The errors of the model: by simple rules that anybody can check, by pairs of labels, and those with the highest confidence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.dataset import Row
from model_code.scoring import Floats, Labels, grouped_share

MOST_PAIRS, MOST_ERRORS, LONGEST_MATRIX = 20, 20, 12
NEGATION = re.compile(r"\b(?:no|not|never|none|nobody|nothing|nowhere|neither|nor|without|hardly|cannot)\b|n['\u2019]t\b", re.IGNORECASE)
"""English words only."""


def by_rule(test: Sequence[Row], answers: Sequence[Mapping[str, Any]], correct: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """``[{"rule","part","texts","accuracy"}]``; a rule that does not divide the texts is left out."""
    groups = np.array([row.group for row in test])
    found = []
    for rule, parts in _parts(test, answers).items():
        sizes = {part: int(inside.sum()) for part, inside in parts.items()}
        if sum(size > 0 for size in sizes.values()) > 1:
            found += [
                {"rule": rule, "part": part, "texts": sizes[part], "accuracy": grouped_share(correct[inside], groups[inside])}
                for part, inside in parts.items()
                if sizes[part]
            ]
    return found


def _parts(test: Sequence[Row], answers: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, NDArray[np.bool_]]]:
    length = np.array([answer["pieces"] if "pieces" in answer else len(row.text) for row, answer in zip(test, answers, strict=True)])
    unit = "word pieces" if "pieces" in answers[0] else "characters"
    edges = np.quantile(length, (0.25, 0.5, 0.75), method="inverted_cdf").tolist()
    quarter = np.searchsorted(edges, length, side="left")
    unknown = np.array([answer["oov_tokens"] / max(1, answer["tokens"]) for answer in answers])
    cut = np.array([bool(answer.get("truncated")) for answer in answers])
    negated = np.array([NEGATION.search(row.text) is not None for row in test])
    bounds = [int(length.min()), *(int(edge) for edge in edges), int(length.max())]
    return {
        f"length in {unit}": {
            f"{bounds[number] + (number > 0)} to {bounds[number + 1]}": quarter == number
            for number in range(4)
            if bounds[number + 1] > bounds[number] or number == 0
        },
        "unknown words": {
            "none": unknown == 0,
            "up to a tenth": (unknown > 0) & (unknown <= 0.1),
            "more than a tenth": unknown > 0.1,
        },
        "read to its end": {"yes": ~cut, "cut": cut},
        "English negation": {"without": ~negated, "with": negated},
    }


def confusions(truth: Labels, predicted: Labels, labels: int) -> dict[str, Any]:
    """``{"matrix","pairs","confusable"}`` by label index; ``matrix`` is None above :data:`LONGEST_MATRIX` labels.

    ``pairs`` are ordered: truth, answer, texts, and their share of the truth's texts. ``confusable`` counts both directions, as a share of
    all texts of the two. An answer outside the labels is left out.
    """
    matrix = np.zeros((labels, labels), dtype=int)
    known = predicted < labels
    np.add.at(matrix, (truth[known], predicted[known]), 1)
    totals, wrong = matrix.sum(axis=1), matrix - np.diag(np.diag(matrix))
    both = np.triu(wrong + wrong.T)

    def largest(counts: NDArray[np.int64]) -> list[tuple[int, int, int]]:
        order = np.argsort(-counts, axis=None, kind="stable")[:MOST_PAIRS]
        return [(int(flat // labels), int(flat % labels), int(counts.flat[flat])) for flat in order if counts.flat[flat]]

    return {
        "matrix": matrix.tolist() if labels <= LONGEST_MATRIX else None,
        "pairs": [{"truth": a, "answer": b, "texts": n, "share": round(n / int(totals[a]), 4)} for a, b, n in largest(wrong)],
        "confusable": [{"labels": [a, b], "texts": n, "share": round(n / int(totals[a] + totals[b]), 4)} for a, b, n in largest(both)],
    }


def surest_errors(confidence: Floats, correct: NDArray[np.bool_]) -> list[int]:
    """Indices of the wrong answers with the highest confidence."""
    wrong = np.flatnonzero(~correct)
    return [int(index) for index in wrong[np.argsort(-confidence[wrong], kind="stable")][:MOST_ERRORS]]
