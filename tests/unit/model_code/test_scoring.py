"""Intervals over groups, calibration and the review threshold."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.intervals import unseen_share
from model_code.calibration import expected_calibration_error, fit_temperature, negative_log_likelihood, softmax
from model_code.review_threshold import threshold_for_share
from model_code.scoring import (
    Labels,
    Resamples,
    accuracy,
    grouped_share,
    macro_f1,
    paired_difference,
    scores,
    tallied_accuracy,
    tallied_macro_f1,
)

RNG = np.random.default_rng(0)


def test_resamples_take_groups_whole() -> None:
    groups = ["a", "b", "a", "c", "b", "a"]
    resamples = Resamples.draw(groups, count=50, seed=1)
    assert resamples.draws.sum(axis=1).tolist() == [3] * 50  # as many groups as there are
    texts = np.arange(6)
    for tallied, draws in zip(resamples.tallies(texts, texts, 6), resamples.draws, strict=True):
        assert tallied.tolist() == [[draws["abc".index(group)] for group in groups]] * 3


def test_a_huge_test_set_is_resampled_less_often_and_still_a_thousand_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_code.scoring._MOST_DRAWS", 30_000)
    assert [len(Resamples.draw([str(i) for i in range(groups)], count=4_000, seed=0).draws) for groups in (5, 20, 90)] == [
        4_000,
        1_500,
        1_000,
    ]


def test_measures_of_tallies_are_those_of_the_texts() -> None:
    groups = [f"g{i // 3}" for i in range(60)]
    truth, predicted = RNG.integers(0, 3, 60), RNG.integers(0, 4, 60)
    resamples = Resamples.draw(groups, count=30, seed=5)
    tallied = resamples.tallies(truth, predicted, 4)
    for number, draws in enumerate(resamples.draws):
        index = np.concatenate(
            [np.flatnonzero(resamples.group_of == group) for group, times in enumerate(draws) for _ in range(int(times))]
        )
        assert tallied_accuracy(tallied)[number] == pytest.approx(accuracy(truth[index], predicted[index]))
        assert tallied_macro_f1(tallied)[number] == pytest.approx(macro_f1(truth[index], predicted[index]))


def test_intervals_are_wider_when_errors_come_in_groups() -> None:
    truth = np.zeros(400, dtype=np.int64)
    predicted = np.repeat((np.arange(40) % 4 == 0).astype(np.int64), 10)  # whole reviews are right or wrong
    grouped = scores(truth, predicted, Resamples.draw([str(i // 10) for i in range(400)], count=400, seed=0))["accuracy"]
    single = scores(truth, predicted, Resamples.draw([str(i) for i in range(400)], count=400, seed=0))["accuracy"]
    assert grouped["value"] == single["value"] == pytest.approx(0.75)
    assert grouped["high"] - grouped["low"] > 2 * (single["high"] - single["low"])


def test_texts_of_one_group_count_less_than_texts_of_many() -> None:
    hit = np.repeat(RNG.random(30) < 0.6, 10)  # whole groups are right or wrong
    together = grouped_share(hit, np.repeat(np.arange(30), 10).astype(str))
    apart = grouped_share(hit, np.arange(300).astype(str))
    assert together["value"] == apart["value"]
    assert together["effective_texts"] == pytest.approx(30, abs=1)
    assert apart["effective_texts"] == pytest.approx(300, abs=2)
    assert together["high"] - together["low"] > 2.5 * (apart["high"] - apart["low"])


def test_a_share_of_few_texts_has_an_interval_that_holds() -> None:
    held = []
    for _ in range(400):
        found = grouped_share(RNG.random(12) < 0.2, np.repeat(np.arange(6), 2).astype(str))
        held.append(found["low"] <= 0.2 <= found["high"])
    assert np.mean(held) >= 0.93
    none = grouped_share(np.zeros(5, dtype=bool), np.array(["a"] * 5))
    assert (none["value"], none["low"], none["effective_texts"]) == (0, 0, 1)
    assert none["high"] > 0.7  # five texts of one group say as much as one


def test_macro_f1_counts_a_class_that_is_never_predicted() -> None:
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])
    assert accuracy(truth, predicted) == 0.5
    assert macro_f1(truth, predicted) == pytest.approx((2 / 3 + 0) / 2)


def test_a_weight_counts_a_text_as_often() -> None:
    truth, predicted, times = RNG.integers(0, 3, 40), RNG.integers(0, 3, 40), RNG.integers(1, 5, 40)
    repeated = np.repeat(np.arange(40), times)
    for measure in (accuracy, macro_f1):
        assert measure(truth, predicted, times.astype(float)) == pytest.approx(measure(truth[repeated], predicted[repeated]))


@pytest.mark.parametrize(("groups", "least"), [(1, 0.975), (10, 0.3085), (60, 0.0596), (900, 0.0041)])
def test_equal_answers_to_few_groups_do_not_show_that_two_models_are_equal(groups: int, least: float) -> None:
    """A difference of ``least`` is not seen in so many groups with a probability of 2.5 %."""
    truth, predicted = RNG.integers(0, 3, 2 * groups), RNG.integers(0, 3, 2 * groups)
    resamples = Resamples.draw([str(i // 2) for i in range(2 * groups)], count=50, seed=0)
    difference = paired_difference(truth, predicted, predicted, resamples)["accuracy"]
    assert (1 - least) ** groups == pytest.approx(0.025, rel=0.01)
    assert difference == {"value": 0, "low": -least, "high": least}


def grouped(rng: np.random.Generator, groups: int) -> tuple[Labels, Labels, Labels, list[str]]:
    """Labels, the answers of two models, and the group of each of four texts a group; hard texts come together."""
    hard, noise = np.repeat(rng.normal(0, 0.3, groups), 4), rng.normal(0, 1, (2, 4 * groups))
    truth = rng.choice(3, 4 * groups, p=[0.4, 0.2, 0.4])
    first = np.where(hard + noise[0] < 0.8, truth, (truth + 1) % 3)
    asked_again = rng.random(4 * groups) < 0.25
    second = np.where(asked_again, np.where(hard + noise[1] < 0.7, truth, (truth + 1) % 3), first)
    return truth, first, second, np.repeat(np.arange(groups), 4).astype(str).tolist()


def test_intervals_of_75_groups_hold_and_are_no_wider_than_they_must_be() -> None:
    rng = np.random.default_rng(3)
    truth, first, second, _ = grouped(rng, 100_000)
    true = accuracy(truth, first), macro_f1(truth, first), accuracy(truth, first) - accuracy(truth, second)
    found = []
    for number in range(200):
        truth, first, second, groups = grouped(rng, 75)
        resamples = Resamples.draw(groups, count=300, seed=number)
        one, other = scores(truth, first, resamples), paired_difference(truth, first, second, resamples)["accuracy"]
        found.append((one["accuracy"], one["macro_f1"], other))
    for name, value, intervals in zip(("accuracy", "macro-F1", "difference"), true, zip(*found, strict=True), strict=True):
        assert np.mean([one["low"] <= value <= one["high"] for one in intervals]) >= 0.9, name
    width = np.mean([difference["high"] - difference["low"] for _, _, difference in found])
    assert width < 2 * unseen_share(75) * 0.8, "as wide as if each group were one text"


def test_a_difference_of_few_groups_has_the_interval_of_students_t() -> None:
    truth, wins, losses = np.zeros(80, dtype=np.int64), [4, 2, 0, 3, 1, 0, 2, 4, 1, 3], [0, 3, 2, 1, 0, 4, 1, 0, 2, 0]
    won, lost = (np.concatenate([np.arange(8) < count for count in counts]) for counts in (wins, losses[::-1]))
    resamples = Resamples.draw([str(number // 8) for number in range(80)], count=4_000, seed=0)
    found = paired_difference(truth, lost.astype(np.int64), won.astype(np.int64), resamples)["accuracy"]
    means = (won.astype(float) - lost).reshape(10, 8).mean(axis=1)
    half = 2.262 * means.std(ddof=1) / np.sqrt(10)  # with nine degrees of freedom
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half, rel=0.05)


def test_a_few_texts_without_an_error_do_not_show_that_there_is_none() -> None:
    truth = np.zeros(3, dtype=np.int64)
    found = scores(truth, truth, Resamples.draw(["a", "b", "c"], count=50, seed=0))["accuracy"]
    assert found == {"value": 1, "low": 0.2924, "high": 1}  # Clopper and Pearson's, 3 of 3


def test_temperature_scaling_lowers_the_likelihood_loss_of_an_overconfident_model() -> None:
    truth = RNG.integers(0, 3, 500)
    logits = np.eye(3)[np.where(RNG.random(500) < 0.7, truth, RNG.integers(0, 3, 500))] * 12.0
    temperature = fit_temperature(logits, truth)
    assert temperature > 1.5
    assert negative_log_likelihood(softmax(logits, temperature), truth) < negative_log_likelihood(softmax(logits), truth)


def test_a_weight_counts_a_text_as_often_in_the_temperature() -> None:
    """The model is sure of all texts, and right on the old ones; one in three of the new ones is wrong."""
    truth, new = RNG.integers(0, 3, 600), np.arange(600) < 60
    logits = np.eye(3)[np.where(new & (np.arange(600) % 3 == 0), (truth + 1) % 3, truth)] * 6.0
    weights = np.where(new, 9.0, 1.0)
    copies = np.repeat(np.arange(600), weights.astype(int))
    assert fit_temperature(logits, truth, weights) == fit_temperature(logits[copies], truth[copies]) > 1.5 * fit_temperature(logits, truth)


def test_threshold_routes_the_wanted_share() -> None:
    confidence = RNG.random(1_000)
    assert float((confidence < threshold_for_share(confidence, 0.2)).mean()) == pytest.approx(0.2, abs=0.01)
    assert threshold_for_share(confidence, 0.0) == 0.0
    assert threshold_for_share(confidence, 0.2) == pytest.approx(np.quantile(confidence, 0.2))


def test_threshold_routes_the_wanted_share_of_texts_as_they_are_weighted() -> None:
    unsure = np.arange(1_000) < 100  # a tenth of the texts that counts as half of them
    confidence = np.where(unsure, 0.5, 0.9) + RNG.random(1_000) / 100
    weights = np.where(unsure, 9.0, 1.0)
    threshold = threshold_for_share(confidence, 0.25, weights)
    assert float(np.average(confidence < threshold, weights=weights)) == pytest.approx(0.25, abs=0.01)
    assert float((confidence < threshold).mean()) == pytest.approx(0.05, abs=0.005)


def test_calibration_error_of_a_sure_and_always_wrong_model_is_one() -> None:
    assert expected_calibration_error(np.ones(10), np.zeros(10, dtype=bool)) == pytest.approx(1.0)
