"""How many answers a task wants, by each rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_fakes import LABELS

from contracts.labels import CANNOT_TELL
from lambdas.common.answers_wanted import AnswerPolicy, AnswerRule, ModelPrior, answers_wanted
from lambdas.common.review import HumanAnswer

A, B, C = LABELS
TWO_THEN_THIRD = AnswerPolicy(AnswerRule.TWO_THEN_THIRD)


def answers(*labels: str | None) -> list[HumanAnswer]:
    return [HumanAnswer(f"worker-{number}", label, 1.0) for number, label in enumerate(labels)]


def adaptive(label: str, confidence: float, labels: int = 2) -> AnswerPolicy:
    return AnswerPolicy(AnswerRule.ADAPTIVE, 3, ModelPrior(label, confidence, labels))


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
        ((), adaptive(A, 0.99), 1),  # nobody's label is the model's alone
        ((A,), adaptive(A, 0.6), 1),
        ((B,), adaptive(A, 0.6), 2),
        ((B, B), adaptive(A, 0.6), 2),
        ((A, B), adaptive(A, 0.5), 3),
        ((A, B, A), adaptive(B, 0.9), 3),
        ((CANNOT_TELL,), adaptive(A, 0.99), 2),
        ((CANNOT_TELL, CANNOT_TELL), adaptive(A, 0.99), 2),
    ],
)
def test_with_the_model_as_prior_people_are_asked_until_it_is_certain(
    given_labels: tuple[str, ...], policy: AnswerPolicy, wanted: int
) -> None:
    assert answers_wanted(answers(*given_labels), policy) == wanted


def test_the_posterior_is_that_of_bayes() -> None:
    """Of three labels the model gives A .5, so B and C have .25 each. The likelihood of the answers B and B is .8 x .8 for B, and .1 x .1
    for the others: .005 for A, .16 for B, .0025 for C."""
    prior = ModelPrior(A, 0.5, 3, accuracy=0.8)
    assert prior.posterior(answers(B, B, None, CANNOT_TELL)) == pytest.approx({A: 0.005 / 0.1675, B: 0.16 / 0.1675})


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: AnswerPolicy(AnswerRule.FIXED, 0), "most 0"),
        (lambda: AnswerPolicy(AnswerRule.ADAPTIVE, 3), "needs a prior"),
        (lambda: AnswerPolicy(AnswerRule.FIXED, 3, ModelPrior(A, 0.5, 2)), "needs no prior"),
        (lambda: ModelPrior(A, 0.9, 1), "labels 1 must"),
        (lambda: ModelPrior(A, 1.0, 2), "confidence 1.0"),
        (lambda: ModelPrior(A, 0.5, 2, accuracy=0.5), "chance"),
        (lambda: ModelPrior(A, 0.5, 2, certainty=1.0), "certainty"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(make: Callable[[], object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make()


choices = st.lists(st.sampled_from([*LABELS, None, CANNOT_TELL]), max_size=9)
policies = st.builds(AnswerPolicy, st.sampled_from([AnswerRule.FIXED, AnswerRule.TWO_THEN_THIRD]), st.integers(1, 5)) | st.just(
    AnswerPolicy(AnswerRule.ADAPTIVE, 4, ModelPrior(A, 0.6, 3))
)


@given(choices.flatmap(lambda labels: st.tuples(st.just(labels), st.permutations(labels))), policies)
def test_a_task_always_ends_and_the_order_never_matters(pair: tuple[list[str | None], list[str | None]], policy: AnswerPolicy) -> None:
    one, other = (answers_wanted(answers(*labels), policy) for labels in pair)
    assert one == other
    assert 1 <= one <= policy.most
