"""The threshold with a promise: what is certified, what is not, and that it holds on other texts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from contracts.review_promise import EVERYTHING, Promise
from model_code.review_threshold import certify, said, tail, threshold_for_share
from model_code.scoring import Floats, Labels

TEN_PERCENT = Promise(0.1, 0.95)


def drawn(groups: int, seed: int, *, size: int = 4, alike: float = 0.0) -> tuple[Floats, NDArray[np.bool_], Labels]:
    """Texts whose confidence is right on average; ``alike``: how much the texts of one group share."""
    rng = np.random.default_rng(seed)
    group_of = np.repeat(np.arange(groups), size)
    confidence = np.maximum(1 / 3, 1 / (1 + np.exp(-rng.normal(2.2, 1.5, len(group_of))))).round(6)
    shift = alike * rng.normal(size=groups)[group_of]
    right = 1 / (1 + np.exp(-(np.log(confidence / (1 - confidence)) + shift)))
    return confidence, rng.random(len(group_of)) > right, group_of


def test_the_tail_of_whole_numbers_is_that_of_the_binomial() -> None:
    from scipy.stats import binom

    assert tail(4 / 107, 107, TEN_PERCENT) == pytest.approx(binom.cdf(4, 107, 0.1))
    assert tail(1.0, 10, TEN_PERCENT) == 1.0


def test_the_certificate_says_what_the_threshold_does() -> None:
    confidence, wrong, groups = drawn(200, seed=1)
    found = certify(confidence, wrong, groups, TEN_PERCENT)
    alone = confidence >= found.threshold
    assert found.kept
    assert (found.texts, found.groups) == (800, 200)
    assert found.share == pytest.approx(alone.mean())
    assert found.error == pytest.approx(wrong[alone].mean())
    assert found.error is not None
    assert found.error_bound is not None
    assert found.error < found.error_bound <= 0.1
    assert "certified at" in said(found)


def test_when_no_threshold_can_keep_it_everything_goes_to_people_and_the_line_says_so() -> None:
    confidence, _, groups = drawn(200, seed=1)
    found = certify(confidence, np.arange(len(confidence)) % 4 == 0, groups, TEN_PERCENT)
    assert (found.kept, found.threshold, found.share, found.error) == (False, EVERYTHING, 0.0, None)
    assert "not kept" in said(found)
    assert "every text goes to people" in said(found)


def test_too_few_texts_certify_nothing_even_without_an_error() -> None:
    confidence, wrong, groups = drawn(6, seed=1)
    assert not certify(confidence, np.zeros_like(wrong), groups, TEN_PERCENT).kept
    assert certify(*drawn(0, seed=1), TEN_PERCENT).texts == 0


def test_texts_that_are_alike_certify_less_than_as_many_independent_ones() -> None:
    confidence, number = np.linspace(0.99, 0.5, 400), np.arange(400)
    group = number // 4
    wrong = (group >= 60) & (group % 8 == 4)  # all four texts of a group are right, or all are wrong
    together, alone = certify(confidence, wrong, group, TEN_PERCENT), certify(confidence, wrong, number, TEN_PERCENT)
    assert (alone.share, alone.error, alone.effective_texts) == (1.0, pytest.approx(0.05), pytest.approx(400, abs=3))
    assert together.share < 1


def test_a_weight_counts_a_text_as_often() -> None:
    confidence, wrong, groups = drawn(200, seed=4)
    weights = np.where(wrong, 3.0, 1.0)
    weighted, plain = certify(confidence, wrong, groups, TEN_PERCENT, weights), certify(confidence, wrong, groups, TEN_PERCENT)
    assert weighted.share < plain.share
    assert certify(confidence, wrong, groups, TEN_PERCENT, np.full(len(wrong), 2.0)) == plain


@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_the_promise_holds_on_other_texts_in_at_least_95_of_100_cases(alike: float) -> None:
    others, errors, _ = drawn(20_000, seed=0, alike=alike)
    held = 0
    for seed in range(1, 101):
        found = certify(*drawn(150, seed, alike=alike), TEN_PERCENT)
        held += not found.kept or bool(errors[others >= found.threshold].mean() <= 0.1)
    assert held >= 95


def test_texts_that_are_served_as_certain_can_be_answered_alone() -> None:
    """Seven of ten have a confidence of 1 with its six digits; half of the others are wrong."""
    confidence, number = np.repeat([1.0, 0.6], [420, 180]), np.arange(600)
    found = certify(confidence, (confidence < 1) & (number % 2 == 0), number, TEN_PERCENT)
    assert (found.kept, found.share) == (True, 0.7)
    assert 1 - 1e-6 < found.threshold < EVERYTHING
    assert 1 - 1e-6 < threshold_for_share(confidence, 0.9) < EVERYTHING
    assert threshold_for_share(confidence, 1.0) == EVERYTHING


def test_few_groups_certify_a_broken_promise_in_about_5_of_100_cases() -> None:
    """8 groups of 40 texts, 10.1 % wrong at each confidence, correlated by 0.2 within a group."""
    rng, draws, certified = np.random.default_rng(1), 400, 0
    group_of = np.repeat(np.arange(8), 40)
    for _ in range(draws):
        wrong = rng.random(len(group_of)) < rng.beta(0.404, 3.596, 8)[group_of]
        certified += certify(rng.random(len(group_of)), wrong, group_of, TEN_PERCENT).kept
    assert certified <= draws * 0.05 + 2 * (draws * 0.05 * 0.95) ** 0.5  # two standard errors; without the t distribution it is 10 %
