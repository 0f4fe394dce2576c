"""What a candidate is compared with: the largest class, TF-IDF with logistic regression, and people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from contracts.dataset import Row
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
    """TF-IDF with logistic regression: the baseline that any fine-tuning must beat.

    Returns:
        Answers (test texts,), and what they rest on: ``words`` (uni- and bigrams); ``characters`` (one to three) where most training
        texts have no word that comes twice, as in scripts without spaces; ``none``, which is the largest class, where there is nothing
        to learn from.
    """
    texts, truth = [row.text for row in train], label_indices(train, labels)
    for features, vectorizer in (
        ("words", TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)),
        ("characters", TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)),
    ):
        try:
            matrix = vectorizer.fit_transform(texts)
        except ValueError:  # scikit-learn's word for an empty vocabulary
            continue
        if len(np.unique(truth)) > 1 and (matrix.getnnz(axis=1) > 0).mean() >= 0.5:
            model = LogisticRegression(max_iter=1_000, C=4.0).fit(matrix, truth)
            return np.asarray(model.predict(vectorizer.transform([row.text for row in test])), dtype=np.int64), features
    return majority(train, test, labels), "none"


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
