"""TF-IDF with logistic regression: the baseline that any fine-tuning must beat, and the quick model of the report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_union

from model_code.scoring import Floats, Labels

MOST_WEIGHTS = 2_000_000
"""Features times labels: what the solver holds twenty times. It limits the features from some ten labels on."""
QUICK_WEIGHTS = 500_000
"""The same of a model that is trained several times, for the report: with 77 labels it takes a quarter of the time."""
MOSTLY, PARTLY = 0.5, 0.05
"""Shares of letters in scripts without spaces: from the first on only characters are counted, from the second on they are, too."""
_LETTER = re.compile(r"[^\W\d_]")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0002fa1f]")
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese: words stand without spaces between them."""
WORDS, CHARACTERS, BOTH, NONE = "words", "characters", "words and characters", "none"


class Baseline:
    """A fitted baseline.

    Attributes:
        features: what it counts: :data:`WORDS` (uni- and bigrams), :data:`CHARACTERS` (one to three), :data:`BOTH`, or :data:`NONE`: there
            was nothing to learn from, and every text gets the shares of the labels.
    """

    def __init__(self, texts: Sequence[str], truth: Labels, labels: int, *, weights: int = MOST_WEIGHTS) -> None:
        self._share = np.bincount(truth, minlength=labels) / len(truth)
        self.features, self._model = NONE, None
        for features, vectorizer in _vectorizers(texts, max(1_000, weights // labels)):
            try:
                matrix = vectorizer.fit_transform(texts)
            except ValueError:  # scikit-learn's word for an empty vocabulary
                continue
            if len(np.unique(truth)) > 1 and (matrix.getnnz(axis=1) > 0).mean() >= MOSTLY:
                self.features, self._vectorizer = features, vectorizer
                self._model = LogisticRegression(max_iter=1_000, C=4.0).fit(matrix, truth)
                return

    def probabilities(self, texts: Sequence[str]) -> Floats:
        """(texts, labels); 0 for a label without a training text."""
        if self._model is None:
            return np.tile(self._share, (len(texts), 1))
        found = np.zeros((len(texts), len(self._share)))
        found[:, self._model.classes_] = self._model.predict_proba(self._vectorizer.transform(texts))
        return found

    def answers(self, texts: Sequence[str]) -> Labels:
        """The likeliest label of each text, (texts,)."""
        return np.asarray(self.probabilities(texts).argmax(axis=1), dtype=np.int64)


def _vectorizers(texts: Sequence[str], most: int) -> Iterator[tuple[str, Any]]:
    """The fitting one first; characters are the last resort of texts that have no word twice, such as emoji. ``most`` features."""

    def words(features: int) -> TfidfVectorizer:
        return TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=features)

    def characters(features: int) -> TfidfVectorizer:
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True, max_features=features)

    share = unspaced_share(texts)
    if share < PARTLY:
        yield WORDS, words(most)
    elif share < MOSTLY:
        union: FeatureUnion = make_union(words(most // 2), characters(most // 2))
        yield BOTH, union
    yield CHARACTERS, characters(most)


def unspaced_share(texts: Sequence[str]) -> float:
    """The share of the letters of at most 1,000 texts, evenly chosen, that are of scripts without spaces between words."""
    chosen = [texts[int(index)] for index in np.unique(np.linspace(0, len(texts) - 1, min(len(texts), 1_000)).astype(int))]
    letters, unspaced = (sum(len(pattern.findall(text)) for text in chosen) for pattern in (_LETTER, _UNSPACED))
    return min(1.0, unspaced / letters) if letters else 0.0


def sampled_groups(groups: Sequence[str], most: int, seed: int) -> NDArray[np.int64]:
    """Rows of whole groups in random order of the groups, up to ``most`` rows (the last group may go beyond)."""
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(names))[group_of]
    order = np.argsort(place, kind="stable")
    if len(order) > most:
        order = order[place[order] <= place[order[most - 1]]]
    return np.asarray(order, dtype=np.int64)
