"""How many answers a task wants, by each rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_fakes import LABELS

from contracts.labels import CANNOT_TELL
from lambdas.common.answers_wanted import AnswerPolicy, AnswerRule, ModelPrior, answers_wanted
from lambdas.common.review import HumanAnswer, ReviewReason

A, B, C = LABELS
TWO_THEN_THIRD = AnswerPolicy(AnswerRule.TWO_THEN_THIRD)


def answers(*labels: str | None) -> list[HumanAnswer]:
    return [HumanAnswer(f"worker-{number}", label, 1.0) for number, label in enumerate(labels)]


def adaptive(**probabilities: float) -> AnswerPolicy:
    return AnswerPolicy(AnswerRule.ADAPTIVE, 3, ModelPrior(probabilities))


@pytest.mark.parametrize(
    ("given_labels", "most", "wanted"),
    [
        ((), 3, 2),
        ((A,), 3, 2),
        ((A, A), 3, 2),
        ((A, B), 3, 3),
        ((A, B, C), 3, 3),
        ((A, B, C), 5, 4),
        ((A, B, A), 5, 3),
        ((A, B, C, C), 5, 4),
        ((A, CANNOT_TELL), 3, 3),
        ((CANNOT_TELL, CANNOT_TELL), 3, 2),
        ((A, None), 3, 3),
        ((None, None), 3, 3),
        ((A, None, None), 5, 4),
        ((), 1, 1),
        ((A, B), 2, 2),
    ],
)
def test_two_people_and_more_only_while_they_differ(given_labels: tuple[str | None, ...], most: int, wanted: int) -> None:
    assert answers_wanted(answers(*given_labels), AnswerPolicy(AnswerRule.TWO_THEN_THIRD, most)) == wanted


def test_a_fixed_number_is_asked_whatever_they_say() -> None:
    assert [answers_wanted(answers(*given), AnswerPolicy(AnswerRule.FIXED, 3)) for given in ((), (A, A), (A, B, C))] == [3, 3, 3]


@pytest.mark.parametrize(
    ("given_labels", "policy", "wanted"),
    [
        ((), adaptive(negative=0.99, positive=0.01), 1),  # nobody's label is the model's alone
        ((A,), adaptive(negative=0.6, positive=0.4), 1),
        ((B,), adaptive(negative=0.6, neutral=0.4), 2),
        ((B, B), adaptive(negative=0.6, neutral=0.4), 2),
        ((A, B), adaptive(negative=0.5, neutral=0.5), 3),
        ((A, B, A), adaptive(negative=0.1, neutral=0.9), 3),
        ((CANNOT_TELL,), adaptive(negative=0.99, neutral=0.01), 2),
        ((CANNOT_TELL, CANNOT_TELL), adaptive(negative=0.99, neutral=0.01), 2),
    ],
)
def test_with_the_model_as_prior_people_are_asked_until_it_is_certain(
    given_labels: tuple[str, ...], policy: AnswerPolicy, wanted: int
) -> None:
    assert answers_wanted(answers(*given_labels), policy) == wanted


def test_the_posterior_is_that_of_bayes() -> None:
    prior = ModelPrior({A: 0.5, B: 0.3, C: 0.2}, accuracy=0.8)
    # Likelihood of the answers B and B: .8 x .8 for B, .1 x .1 for the others.
    assert prior.posterior(answers(B, B)) == pytest.approx({A: 0.005 / 0.199, B: 0.192 / 0.199, C: 0.002 / 0.199})


@pytest.mark.parametrize("reason", [ReviewReason.AUDIT_SAMPLE, ReviewReason.PAIR])
def test_labels_that_judge_a_model_are_never_asked_for_with_the_model_as_prior(reason: ReviewReason) -> None:
    policy = adaptive(negative=0.9, positive=0.1)
    assert policy.for_review(reason) == TWO_THEN_THIRD
    assert policy.for_review(ReviewReason.LOW_CONFIDENCE) is policy
    assert TWO_THEN_THIRD.for_review(reason) is TWO_THEN_THIRD


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: AnswerPolicy(AnswerRule.FIXED, 0), "most 0"),
        (lambda: AnswerPolicy(AnswerRule.ADAPTIVE, 3), "needs a prior"),
        (lambda: AnswerPolicy(AnswerRule.FIXED, 3, ModelPrior({A: 0.5, B: 0.5})), "needs no prior"),
        (lambda: ModelPrior({A: 1.0}), "two labels"),
        (lambda: ModelPrior({A: 0.5, B: 0.5}, accuracy=0.5), "chance"),
        (lambda: ModelPrior({A: 0.5, B: 0.5}, certainty=1.0), "certainty"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(make: Callable[[], object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()


choices = st.lists(st.sampled_from([*LABELS, None, CANNOT_TELL]), max_size=9)
policies = st.builds(AnswerPolicy, st.sampled_from([AnswerRule.FIXED, AnswerRule.TWO_THEN_THIRD]), st.integers(1, 5)) | st.just(
    AnswerPolicy(AnswerRule.ADAPTIVE, 4, ModelPrior({A: 0.6, B: 0.3, C: 0.1}))
)


@given(choices.flatmap(lambda labels: st.tuples(st.just(labels), st.permutations(labels))), policies)
def test_a_task_always_ends_and_the_order_never_matters(pair: tuple[list[str | None], list[str | None]], policy: AnswerPolicy) -> None:
    one, other = (answers_wanted(answers(*labels), policy) for labels in pair)
    assert one == other
    assert 1 <= one <= policy.most
