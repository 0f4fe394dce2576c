"""Agreement of two variants is compared over the same traffic, however differently their answers were chosen for review, and a
rollout of equals ends by chance no more often than is stated."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.common.predictions import StoredPrediction
from lambdas.prediction.predict.review_policy import review_reason
from lambdas.rollout.judge_rollout.agreement import Reviews, Sample, loss, standard_error
from lambdas.rollout.judge_rollout.policy import FALSE_ROLLBACKS, Decision, Evidence, Policy, VariantEvidence, WithoutReviews, judge
from lambdas.rollout.judge_rollout.progress import after
from lambdas.rollout.judge_rollout.reviews import reviews_of
from lambdas.rollout.progress import Progress

T0 = datetime(2026, 11, 24, 10, tzinfo=UTC)
AUDIT_SHARE = 0.05
STEPS, FOUR_STEPS = (0.2, 0.5), (0.05, 0.1, 0.25, 0.5)


def at(minute: float) -> str:
    return (T0 + timedelta(minutes=minute)).isoformat(timespec="milliseconds")


PROGRESS = replace(Progress.begin(0.2, at(-30)).shifted(0.2, at(-20)).shifted(0.2, at(0)), step=1, share=0.5).shifted(0.5, at(60))
"""In place at 0, half of the traffic from minute 60 on."""


def answer(number: int, variant: str, minute: float, **changes: Any) -> dict[str, Any]:
    """A reviewed item of the prediction table, agreed with."""
    return {
        "prediction_id": f"{variant}-{number}",
        "text": "a text",
        "expires_at": 1_900_000_000,
        "attempt": 1,
        "variant": variant,
        "model_version": f"model-of-{variant}",
        "created_at": at(minute),
        "review_reason": "low_confidence",
        "review_state": "reviewed",
        "label": "positive",
        "human_label": "positive",
        **changes,
    }


def taken_in(variant: str, *reviewed: dict[str, Any], unanswered: list[dict[str, Any]] | None = None) -> Reviews:
    waiting, done = records(unanswered or []), records(reviewed)
    return reviews_of(variant, f"model-of-{variant}", waiting, done, progress=PROGRESS, audit_share=AUDIT_SHARE)


def records(items: Iterable[dict[str, Any]]) -> list[StoredPrediction]:
    return [StoredPrediction.parse(item) for item in items]


def served(
    variant: str, share: Callable[[float], float], agree: Callable[[float, float], bool], threshold: float, texts: int = 12_000
) -> Reviews:
    """Two hours of traffic through the review policy; ``agree`` takes confidence and minute, both spread evenly."""

    def reviewed() -> Iterator[dict[str, Any]]:
        for number in range(texts):
            minute = 120 * number / texts
            name = hashlib.sha256(f"{variant} {number}".encode()).hexdigest()[:32]
            uniform, confidence = (int(name[start : start + 8], 16) / 2**32 for start in (0, 8))
            reason = review_reason(name, confidence, threshold=threshold, audit_share=AUDIT_SHARE)
            if uniform < share(minute) and reason:
                said = "positive" if agree(confidence, minute) else "negative"
                yield answer(0, variant, minute, prediction_id=name, review_reason=reason.value, human_label=said)

    return taken_in(variant, *reviewed())


def challengers(minute: float) -> float:
    return 0.2 if minute < 60 else 0.5


def champions(minute: float) -> float:
    return 1 - challengers(minute)


def test_what_each_variant_finds_unsure_does_not_count_against_it() -> None:
    """Equal models; the challenger is sure of all but its worst answers, so these are most of what people see of it."""

    def agree(confidence: float, minute: float) -> bool:
        return confidence > 0.1

    champion = served("champion", champions, agree, threshold=0.4)
    challenger = served("challenger", challengers, agree, threshold=0.1)
    assert champion.agreed / champion.labelled - challenger.agreed / challenger.labelled > 0.3
    for side in (champion, challenger):
        assert side.sample.rate == pytest.approx(0.9, abs=0.02)
    assert abs(loss(champion.sample, challenger.sample)) < 2 * standard_error(champion.sample, challenger.sample)


def test_traffic_that_grows_harder_does_not_count_against_the_one_that_meets_more_of_it() -> None:
    def agree(confidence: float, minute: float) -> bool:
        return minute < 60 or confidence > 0.5

    champion = served("champion", champions, agree, threshold=1.1)  # people see everything
    challenger = served("challenger", challengers, agree, threshold=1.1)
    assert champion.agreed / champion.labelled - challenger.agreed / challenger.labelled > 0.1
    assert loss(champion.sample, challenger.sample) == pytest.approx(0, abs=0.02)


def test_a_worse_model_is_worse_by_as_much_as_it_is() -> None:
    champion = served("champion", champions, lambda confidence, _: confidence > 0.1, threshold=0.3)
    challenger = served("challenger", challengers, lambda confidence, _: confidence > 0.25, threshold=0.1)
    assert loss(champion.sample, challenger.sample) == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize(
    "other",
    [
        answer(2, "champion", -0.001),  # answered before the challenger was in place, however late its review
        answer(2, "challenger", 10, model_version="model-of-champion"),
        answer(2, "champion", 10, model_version="an-older-one"),
        {key: value for key, value in answer(2, "champion", 10).items() if key != "review_reason"},  # an operator asked
        {key: value for key, value in answer(2, "champion", 10).items() if key != "variant"},  # a text of a labelling job
    ],
)
def test_only_the_variants_own_answers_in_the_experiment_that_the_policy_chose_count(other: dict[str, Any]) -> None:
    assert taken_in("champion", answer(1, "champion", 0), other) == taken_in("champion", answer(1, "champion", 0))


def test_what_has_no_label_is_counted_once_and_a_review_that_comes_in_meanwhile_is_reviewed() -> None:
    unanswered = [
        answer(number, "champion", 10, review_state=state, human_label=None)
        for number, state in enumerate(["requested", "in_review", "dead_lettered", "in_review"])
    ]
    undecided = {key: value for key, value in answer(9, "champion", 10).items() if key != "human_label"}
    found = taken_in("champion", answer(3, "champion", 10), undecided, unanswered=unanswered)
    assert (found.labelled, found.agreed, found.waiting, found.undecided, found.dead_lettered) == (1, 1, 2, 1, 1)


def test_an_answer_weighs_what_it_stands_for() -> None:
    audited = {"review_reason": "audit_sample"}
    champion = taken_in("champion", answer(1, "champion", 10), answer(2, "champion", 70, **audited)).sample
    assert champion.weight == pytest.approx(0.2 / 0.8 + 20)
    assert taken_in("challenger", answer(1, "challenger", 10, **audited)).sample.weight == pytest.approx(20)


def test_without_an_audit_nothing_is_said_of_the_whole_traffic() -> None:
    items = records(answer(number, "champion", 10) for number in range(500))
    found = reviews_of("champion", "model-of-champion", [], items, progress=PROGRESS, audit_share=0.0)
    assert (found.labelled, found.sample.effective) == (500, 0)


def test_unsure_answers_alone_are_few_reviews_of_the_whole_traffic() -> None:
    assert taken_in("challenger", *(answer(number, "challenger", 70) for number in range(60))).sample.effective < 20


def test_after_the_champion_left_the_challengers_answers_have_nothing_to_be_compared_with() -> None:
    alone = replace(PROGRESS, step=2, share=1.0).shifted(1.0, at(90))
    [item] = records([answer(1, "challenger", 100)])
    assert reviews_of("challenger", "model-of-challenger", [], [item], progress=alone, audit_share=0.05).sample == Sample()


ANSWERS = st.lists(st.tuples(st.sampled_from([0.25, 1.0, 20.0]), st.booleans()), max_size=60)


@given(ANSWERS, st.floats(0.01, 100))
def test_only_the_proportion_of_weights_matters_and_no_certainty_comes_of_a_few(answers: list[tuple[float, bool]], scale: float) -> None:
    sample = Sample.of(answers, heaviest=20.0)
    scaled = Sample.of([(scale * weight, agrees) for weight, agrees in answers], heaviest=scale * 20.0)
    for name in ("rate", "effective", "variance"):
        assert getattr(scaled, name) == pytest.approx(getattr(sample, name), abs=1e-9)
    assert 0 <= sample.rate <= 1
    assert -1e-9 <= sample.effective <= len(answers) + 1e-9
    assert sample.variance >= 1 / (len(answers) + 2) ** 2 / 2 - 1e-9


@given(st.integers(0, 50), st.integers(0, 50))
def test_without_weights_it_is_the_interval_of_agresti_and_caffo(agreed: int, differed: int) -> None:
    sample = Sample.of([(1.0, True)] * agreed + [(1.0, False)] * differed, heaviest=1.0)
    count = agreed + differed + 2
    rate = (agreed + 1) / count
    assert sample.variance == pytest.approx(rate * (1 - rate) / count)
    assert sample.effective == pytest.approx(agreed + differed)


# -- whole rollouts --------------------------------------------------------------------------------


def policy(steps: tuple[float, ...], max_agreement_loss: float) -> Policy:
    return Policy(steps, 1, 1.0, max_agreement_loss, 0, 20, WithoutReviews.ADVANCE)


@dataclass(frozen=True)
class Traffic:
    """``texts`` in a step; a fifth of the answers is unsure. ``agree``: how often people agree with the champion's unsure and sure ones."""

    texts: int
    audit_share: float
    agree: tuple[float, float] = (0.55, 0.85)


def rolled_back(numbers: np.random.Generator, rules: Policy, traffic: Traffic, *, worse: float, rollouts: int) -> float:
    """Share of rollouts that end for a loss of agreement, with a challenger that is ``worse`` by so much."""
    decisions = [decided(numbers, rules, traffic, worse) for _ in range(rollouts)]
    return decisions.count(Decision.ROLL_BACK) / rollouts


def decided(numbers: np.random.Generator, rules: Policy, traffic: Traffic, worse: float) -> Decision:
    champion = challenger = Sample()
    progress = Progress.begin(rules.weight_steps[0], at(0))
    while True:
        odds = progress.share / (1 - progress.share)
        champion = with_step(numbers, champion, traffic, 1 - progress.share, weight=odds)
        challenger = with_step(numbers, challenger, traffic, progress.share, worse=worse)
        evidence = Evidence(*(VariantEvidence(traffic.texts, 0, Reviews(sample=sample)) for sample in (champion, challenger)))
        decision = judge(evidence, progress, rules).decision
        if decision is not Decision.ADVANCE:
            return decision
        progress = after(decision, progress, rules)


def with_step(
    numbers: np.random.Generator, sample: Sample, traffic: Traffic, share: float, *, weight: float = 1.0, worse: float = 0.0
) -> Sample:
    """The sample with one more step's reviews, drawn as the review policy draws them."""
    answers = numbers.binomial(traffic.texts, share)
    unsure = numbers.binomial(answers, 0.2)
    audited, heaviest = numbers.binomial(answers - unsure, traffic.audit_share), weight / traffic.audit_share
    for reviewed, one, rate in ((unsure, weight, traffic.agree[0]), (audited, heaviest, traffic.agree[1])):
        agreed = numbers.binomial(reviewed, rate - worse)
        sample = Sample(
            weight=sample.weight + one * reviewed,
            agreeing=sample.agreeing + one * agreed,
            squares=sample.squares + one**2 * reviewed,
            agreeing_squares=sample.agreeing_squares + one**2 * agreed,
            heaviest=heaviest,
        )
    return sample


@pytest.mark.parametrize("agree", [(0.55, 0.85), (0.6, 0.98)])
@pytest.mark.parametrize(
    ("steps", "audit_share", "texts"),
    [(STEPS, 0.05, 500), (STEPS, 0.05, 2_000), (STEPS, 0.05, 10_000), (FOUR_STEPS, 0.02, 2_000), (FOUR_STEPS, 0.02, 20_000)],
)
def test_equals_are_rolled_back_no_more_often_than_is_stated(
    steps: tuple[float, ...], audit_share: float, texts: int, agree: tuple[float, float]
) -> None:
    """With no loss allowed at all, where chance alone decides; any allowance makes it rarer."""
    numbers, rollouts = np.random.default_rng(20_261_124), 1_000
    found = rolled_back(numbers, policy(steps, 0.0), Traffic(texts, audit_share, agree), worse=0.0, rollouts=rollouts)
    assert found <= FALSE_ROLLBACKS + 2 * math.sqrt(FALSE_ROLLBACKS / rollouts)


@pytest.mark.parametrize(("steps", "allowed", "texts"), [(STEPS, 0.1, 4_700), (FOUR_STEPS, 0.05, 3_700)])
def test_a_challenger_that_is_15_points_worse_is_caught_with_200_effective_reviews(
    steps: tuple[float, ...], allowed: float, texts: int
) -> None:
    numbers, traffic = np.random.default_rng(20_261_124), Traffic(texts, AUDIT_SHARE)
    sample = Sample()
    for share in steps:
        sample = with_step(numbers, sample, traffic, share)
    assert sample.effective == pytest.approx(200, rel=0.1)
    assert rolled_back(numbers, policy(steps, allowed), traffic, worse=0.15, rollouts=500) > 0.9
