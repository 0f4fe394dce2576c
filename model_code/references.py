"""What a candidate is compared with: the largest class, TF-IDF with logistic regression, and people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from model_code.data import Row
from model_code.scoring import Labels


def label_indices(rows: Sequence[Row], labels: Sequence[str]) -> Labels:
    position = {label: index for index, label in enumerate(labels)}
    return np.array([position[row.label] for row in rows])


def majority(train: Sequence[Row], test: Sequence[Row], labels: Sequence[str]) -> Labels:
    """The training set's largest class for every text."""
    largest = int(np.bincount(label_indices(train, labels), minlength=len(labels)).argmax())
    return np.full(len(test), largest)


def tfidf(train: Sequence[Row], test: Sequence[Row], labels: Sequence[str]) -> Labels:
    """Word uni- and bigrams, TF-IDF, logistic regression: the baseline that any fine-tuning must beat."""
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(max_iter=1_000, C=4.0))
    model.fit([row.text for row in train], label_indices(train, labels))
    return np.asarray(model.predict([row.text for row in test]), dtype=np.int64)


def people(test: Sequence[Row], labels: Sequence[str], *, raters: int, seed: int) -> Labels:
    """Plurality of ``raters`` votes drawn without replacement from each text's recorded votes; ties at random.

    -1 where there are no votes beside the drawn ones: the label would rest on the very votes that are held against it.
    """
    rng = np.random.default_rng((seed, raters))
    answers = np.full(len(test), -1)
    for index, row in enumerate(test):
        counts = np.array([row.votes.get(label, 0) for label in labels])
        if counts.sum() > raters:
            drawn = rng.multivariate_hypergeometric(counts, raters)
            answers[index] = rng.choice(np.flatnonzero(drawn == drawn.max()))
    return answers
