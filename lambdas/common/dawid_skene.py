"""How each worker mistakes labels, and what that says of a text's label: the model of Dawid and Skene. Pure, standard library only.

Each text has one true label, and each worker a matrix: how often they answer *b* when *a* is true. Expectation maximisation estimates the
matrices and the labels from the answers alone. The same answers give the same numbers.

A worker with few answers has no matrix that could be trusted. So each matrix is drawn towards that of all workers together, as if the
worker had given :data:`PRIOR_ANSWERS` answers more to texts of each label. The matrix of all workers has one more answer in each cell.

Source: Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied Statistics 1979.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.text import InvalidJson, parse_json

PRIOR_ANSWERS = 20.0
MOST_LABELS = 20
"""Most labels that the model is used for. With more, most cells of the matrices are empty, so their values would be guesses."""
MOST_ROUNDS, TOLERANCE = 100, 1e-5

Answers = Sequence[tuple[str, str]]
"""Answers to one text, each as (worker, label)."""
Matrix = Mapping[str, Mapping[str, float]]
"""True label -> answer -> probability."""


class InvalidQuality(ValueError):
    """A document is no :class:`Quality`; the text says what is wrong."""


@dataclass(frozen=True)
class Quality:
    """What is known of the workers.

    Attributes:
        labels: in the order of the dataset.
        shares: the share of each label among the texts.
        pooled: the matrix of all workers together, which also stands for a worker who is not known.
        workers: the matrix of each worker.
        answers: the number of answers of each worker.
        texts: with two answers or more; the estimate rests on them.
    """

    labels: tuple[str, ...]
    shares: Mapping[str, float]
    pooled: Matrix
    workers: Mapping[str, Matrix]
    answers: Mapping[str, int]
    texts: int

    def posterior(self, answers: Answers) -> dict[str, float]:
        """Each label's probability after these answers. An answer that is no label is left out."""
        logs = {label: math.log(self.shares[label]) for label in self.labels}
        for worker, answer in answers:
            matrix = self.workers.get(worker, self.pooled)
            if answer in self.shares:
                for label in self.labels:
                    logs[label] += math.log(matrix[label][answer])
        return _normalised(logs)

    def accuracy(self, worker: str) -> float:
        """The share of the worker's answers that are right, for texts as they come."""
        matrix = self.workers.get(worker, self.pooled)
        return sum(self.shares[label] * matrix[label][label] for label in self.labels)

    def to_json(self) -> str:
        content = {**vars(self), "labels": list(self.labels)}
        return json.dumps(content, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, body: str | bytes) -> Quality:
        """Raises InvalidQuality."""
        try:
            raw = parse_json(body)
            labels = tuple(map(str, raw["labels"]))
            return cls(
                labels=labels,
                shares=_row(raw["shares"], labels),
                pooled=_matrix(raw["pooled"], labels),
                workers={str(worker): _matrix(matrix, labels) for worker, matrix in raw["workers"].items()},
                answers={str(worker): int(count) for worker, count in raw["answers"].items()},
                texts=int(raw["texts"]),
            )
        except KeyError as error:
            raise InvalidQuality(f"there is no field {error}") from None
        except (InvalidJson, AttributeError, TypeError, ValueError) as error:
            raise InvalidQuality(str(error)) from None


def estimate(texts: Iterable[Answers], labels: Sequence[str]) -> Quality | None:
    """What the answers say of the workers, or None when no text has two answers, or when there are too many labels.

    A text with one answer says nothing of who is right, so it does not count. The order of texts and answers does not matter.
    """
    known = set(labels)
    usable = (tuple(sorted((worker, label) for worker, label in answers if label in known)) for answers in texts)
    # Texts with equal answers have equal beliefs, so each set of answers is computed once.
    tasks = sorted(Counter(answers for answers in usable if len(answers) > 1).items())
    if not tasks or len(labels) > MOST_LABELS:
        return None
    beliefs = [[sum(answer == label for _, answer in answers) / len(answers) for label in labels] for answers, _ in tasks]
    model = _maximise(tasks, beliefs, labels)
    for _ in range(MOST_ROUNDS):
        new = [model.beliefs(answers) for answers, _ in tasks]
        moved = max(abs(one - other) for pair in zip(new, beliefs, strict=True) for one, other in zip(*pair, strict=True))
        beliefs = new
        model = _maximise(tasks, beliefs, labels)
        if moved < TOLERANCE:
            break
    return model.quality(tuple(labels), tasks)


@dataclass(frozen=True)
class _Model:
    """The numbers of one round, by position of the label. ``columns``: worker -> answer -> its probability for each true label."""

    shares: list[float]
    pooled: dict[str, list[float]]
    columns: dict[str, dict[str, list[float]]]

    def beliefs(self, answers: Answers) -> list[float]:
        weights = list(self.shares)
        for worker, answer in answers:
            weights = [weight * likely for weight, likely in zip(weights, self.columns[worker][answer], strict=True)]
        total = sum(weights)
        return [weight / total for weight in weights]

    def quality(self, labels: tuple[str, ...], tasks: Sequence[tuple[Answers, int]]) -> Quality:
        counts: Counter[str] = Counter()
        for answers, often in tasks:
            for worker, _ in answers:
                counts[worker] += often

        def matrix(columns: Mapping[str, list[float]]) -> Matrix:
            return {label: {answer: columns[answer][place] for answer in labels} for place, label in enumerate(labels)}

        return Quality(
            labels,
            dict(zip(labels, self.shares, strict=True)),
            matrix(self.pooled),
            {worker: matrix(columns) for worker, columns in sorted(self.columns.items())},
            dict(sorted(counts.items())),
            sum(often for _, often in tasks),
        )


def _maximise(tasks: Sequence[tuple[Answers, int]], beliefs: Sequence[list[float]], labels: Sequence[str]) -> _Model:
    size = len(labels)
    totals = [1.0] * size
    counts: dict[str, dict[str, list[float]]] = {}
    for (answers, often), belief in zip(tasks, beliefs, strict=True):
        counted = [share * often for share in belief]
        totals = [total + share for total, share in zip(totals, counted, strict=True)]
        for worker, answer in answers:
            own = counts.setdefault(worker, {label: [0.0] * size for label in labels})
            own[answer] = [old + share for old, share in zip(own[answer], counted, strict=True)]
    together = {answer: [1.0 + sum(given[answer][place] for given in counts.values()) for place in range(size)] for answer in labels}
    pooled = _rows_of_one(together)
    columns = {
        worker: _rows_of_one(
            {
                answer: [count + PRIOR_ANSWERS * all_of_them for count, all_of_them in zip(column, pooled[answer], strict=True)]
                for answer, column in given.items()
            }
        )
        for worker, given in counts.items()
    }
    whole = sum(totals)
    return _Model([total / whole for total in totals], pooled, columns)


def _rows_of_one(columns: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Scale the rows, so that the shares of the answers sum to one for each true label."""
    sums = [sum(values) for values in zip(*columns.values(), strict=True)]
    return {answer: [value / total for value, total in zip(column, sums, strict=True)] for answer, column in columns.items()}


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {label: count / total for label, count in counts.items()}


def _normalised(logs: Mapping[str, float]) -> dict[str, float]:
    highest = max(logs.values())
    return _shares({label: math.exp(value - highest) for label, value in logs.items()})


def _row(raw: Any, labels: Sequence[str]) -> dict[str, float]:
    row = {label: float(raw[label]) for label in labels}
    if not all(0 < value <= 1 for value in row.values()):
        raise ValueError(f"shares {row} must be above 0, and at most 1")
    return row


def _matrix(raw: Any, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    return {label: _row(raw[label], labels) for label in labels}
