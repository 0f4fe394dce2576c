"""Intervals over groups, calibration and the review threshold."""

from __future__ import annotations

import numpy as np
import pytest

from model_code.calibration import expected_calibration_error, fit_temperature, negative_log_likelihood, review_threshold, softmax
from model_code.scoring import Resamples, accuracy, confusion_accuracy, confusion_macro_f1, macro_f1, paired_difference, scores

RNG = np.random.default_rng(0)


def test_resamples_take_groups_whole() -> None:
    groups = ["a", "b", "a", "c", "b", "a"]
    resamples = Resamples.draw(groups, count=50, seed=1)
    assert resamples.draws.sum(axis=1).tolist() == [3] * 50  # as many groups as there are
    texts = np.arange(6)
    for matrix, draws in zip(resamples.confusions(texts, texts, 6), resamples.draws, strict=True):
        assert np.diag(matrix).tolist() == [draws["abc".index(group)] for group in groups]


def test_a_huge_test_set_is_resampled_less_often_and_still_a_thousand_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_code.scoring._MOST_DRAWS", 30_000)
    assert [len(Resamples.draw([str(i) for i in range(groups)], count=4_000, seed=0).draws) for groups in (5, 20, 90)] == [
        4_000,
        1_500,
        1_000,
    ]


def test_measures_of_confusions_are_those_of_the_texts() -> None:
    groups = [f"g{i // 3}" for i in range(60)]
    truth, predicted = RNG.integers(0, 3, 60), RNG.integers(0, 4, 60)
    resamples = Resamples.draw(groups, count=30, seed=5)
    confusions = resamples.confusions(truth, predicted, 4)
    for number, draws in enumerate(resamples.draws):
        index = np.concatenate(
            [np.flatnonzero(resamples.group_of == group) for group, times in enumerate(draws) for _ in range(int(times))]
        )
        assert confusion_accuracy(confusions)[number] == pytest.approx(accuracy(truth[index], predicted[index]))
        assert confusion_macro_f1(confusions)[number] == pytest.approx(macro_f1(truth[index], predicted[index]))


def test_intervals_are_wider_when_errors_come_in_groups() -> None:
    truth = np.zeros(400, dtype=np.int64)
    predicted = np.repeat((np.arange(40) % 4 == 0).astype(np.int64), 10)  # whole reviews are right or wrong
    grouped = scores(truth, predicted, Resamples.draw([str(i // 10) for i in range(400)], count=400, seed=0))["accuracy"]
    single = scores(truth, predicted, Resamples.draw([str(i) for i in range(400)], count=400, seed=0))["accuracy"]
    assert grouped["value"] == single["value"] == pytest.approx(0.75)
    assert grouped["high"] - grouped["low"] > 2 * (single["high"] - single["low"])


def test_macro_f1_counts_a_class_that_is_never_predicted() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])
    assert accuracy(truth, predicted) == 0.5
    assert macro_f1(truth, predicted) == pytest.approx((2 / 3 + 0) / 2)


def test_a_weight_counts_a_text_as_often() -> None:
    truth, predicted, times = RNG.integers(0, 3, 40), RNG.integers(0, 3, 40), RNG.integers(1, 5, 40)
    repeated = np.repeat(np.arange(40), times)
    for measure in (accuracy, macro_f1):
        assert measure(truth, predicted, times.astype(float)) == pytest.approx(measure(truth[repeated], predicted[repeated]))


def test_paired_difference_of_equal_answers_is_exactly_zero() -> None:
    truth, predicted = RNG.integers(0, 3, 60), RNG.integers(0, 3, 60)
    difference = paired_difference(truth, predicted, predicted, Resamples.draw([str(i) for i in range(60)], count=50, seed=0))
    assert difference["accuracy"] == {"value": 0, "low": 0, "high": 0}


def test_temperature_scaling_lowers_the_likelihood_loss_of_an_overconfident_model() -> None:
    truth = RNG.integers(0, 3, 500)
    logits = np.eye(3)[np.where(RNG.random(500) < 0.7, truth, RNG.integers(0, 3, 500))] * 12.0
    temperature = fit_temperature(logits, truth)
    assert temperature > 1.5
    assert negative_log_likelihood(softmax(logits, temperature), truth) < negative_log_likelihood(softmax(logits), truth)


def test_threshold_routes_the_wanted_share() -> None:
    confidence = RNG.random(1_000)
    assert float((confidence < review_threshold(confidence, 0.2)).mean()) == pytest.approx(0.2, abs=0.01)
    assert review_threshold(confidence, 0.0) == 0.0
    assert review_threshold(confidence, 0.2) == pytest.approx(np.quantile(confidence, 0.2))


def test_threshold_routes_the_wanted_share_of_texts_as_they_are_weighted() -> None:
    unsure = np.arange(1_000) < 100  # a tenth of the texts that counts as half of them
    confidence = np.where(unsure, 0.5, 0.9) + RNG.random(1_000) / 100
    weights = np.where(unsure, 9.0, 1.0)
    threshold = review_threshold(confidence, 0.25, weights)
    assert float(np.average(confidence < threshold, weights=weights)) == pytest.approx(0.25, abs=0.01)
    assert float((confidence < threshold).mean()) == pytest.approx(0.05, abs=0.005)


def test_calibration_error_of_a_sure_and_always_wrong_model_is_one() -> None:
    assert expected_calibration_error(np.ones(10), np.zeros(10, dtype=bool)) == pytest.approx(1.0)
