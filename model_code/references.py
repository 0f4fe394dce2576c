"""What a candidate is compared with: the largest class, TF-IDF with logistic regression, and people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from contracts.dataset import Row
from model_code.baseline import Baseline
from model_code.scoring import Labels

LEAST_OTHERS = 3
"""Votes that must be left when people are drawn: two that differ have no plurality."""


def label_indices(rows: Sequence[Row], labels: Sequence[str]) -> Labels:
    position = {label: index for index, label in enumerate(labels)}
    return np.array([position[row.label] for row in rows])


def majority(train: Sequence[Row], test: Sequence[Row], labels: Sequence[str]) -> Labels:
    """The training set's largest class for every text."""
    largest = int(np.bincount(label_indices(train, labels), minlength=len(labels)).argmax())
    return np.full(len(test), largest)


def tfidf(train: Sequence[Row], test: Sequence[Row], labels: Sequence[str]) -> tuple[Labels, str]:
    """Answers (test texts,) of TF-IDF with logistic regression, and the features it counts (``features`` of
    :class:`~model_code.baseline.Baseline`)."""
    baseline = Baseline([row.text for row in train], label_indices(train, labels), len(labels))
    return baseline.answers([row.text for row in test]), baseline.features


def people(test: Sequence[Row], labels: Sequence[str], *, raters: int, seed: int) -> tuple[Labels, Labels]:
    """What ``raters`` people say of each text, and what the others say: both (test texts,), -1 where too few have voted.

    The people are drawn without replacement from a text's recorded votes. Their plurality is compared with the plurality of the votes
    that are left, never with the row's label, which rests on their own votes too. A tie is broken at random on either side: the row's
    label would break it in favour of whoever has decided it.
    """
    rng = np.random.default_rng((seed, raters))
    answers, others = np.full(len(test), -1), np.full(len(test), -1)
    for index, row in enumerate(test):
        counts = np.array([row.votes.get(label, 0) for label in labels])
        if counts.sum() >= raters + LEAST_OTHERS:
            drawn = rng.multivariate_hypergeometric(counts, raters)
            answers[index], others[index] = (rng.choice(np.flatnonzero(votes == votes.max())) for votes in (drawn, counts - drawn))
    return answers, others
