"""How many answers a task wants, given the answers that it has: pure.

A backend that can ask one more person asks this function after each answer, and ends the task when as many answers are there as are
wanted. Amazon A2I cannot: it asks a number of people that is fixed when the review starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from contracts.labels import CANNOT_TELL
from lambdas.common.review import HumanAnswer, ReviewReason

FIRST_ANSWERS = 2
"""Number of people who are asked before their answers are compared."""
MOST_ANSWERS = 9


class AnswerRule(StrEnum):
    """``fixed``: always as many as allowed. ``two_then_third``: two, and one more while the first place is shared.
    ``adaptive``: until the model's answer and the people's together are certain enough."""

    FIXED = "fixed"
    TWO_THEN_THIRD = "two_then_third"
    ADAPTIVE = "adaptive"


@dataclass(frozen=True)
class ModelPrior:
    """What the model said of a text, for the rule ``adaptive``.

    Attributes:
        probabilities: the model's probability of each label.
        accuracy: the share of one person's answers that are right, which must be above chance.
        certainty: the probability of the first label at which nobody else is asked.
    """

    probabilities: Mapping[str, float]
    accuracy: float = 0.8
    certainty: float = 0.85

    def __post_init__(self) -> None:
        labels, total = len(self.probabilities), sum(self.probabilities.values())
        if labels < 2 or min(self.probabilities.values()) < 0 or not total > 0:
            raise ValueError(f"probabilities {dict(self.probabilities)} must be of two labels or more, none below 0 and not all 0")
        if not 1 / labels < self.accuracy < 1:
            raise ValueError(f"accuracy {self.accuracy} must be above {1 / labels:g}, which is chance, and below 1")
        if not 0.5 <= self.certainty < 1:
            raise ValueError(f"certainty {self.certainty} must be from 0.5 to below 1")

    def posterior(self, answers: Sequence[HumanAnswer]) -> dict[str, float]:
        """Each label's probability after the answers. People's errors are taken as independent, and as equally likely for each label."""
        votes = Counter(answer.label for answer in answers)
        odds = self.accuracy * (len(self.probabilities) - 1) / (1 - self.accuracy)
        weights = {label: share * odds ** votes[label] for label, share in self.probabilities.items()}
        total = sum(weights.values())
        return {label: weight / total for label, weight in weights.items()}


@dataclass(frozen=True)
class AnswerPolicy:
    """A rule, and the most answers that a task may get.

    Attributes:
        prior: what the model said; only for ``adaptive``.
    """

    rule: AnswerRule
    most: int = 3
    prior: ModelPrior | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.most <= MOST_ANSWERS:
            raise ValueError(f"most {self.most} must be from 1 to {MOST_ANSWERS}")
        if (self.prior is not None) != (self.rule is AnswerRule.ADAPTIVE):
            raise ValueError(f"rule {self.rule.value!r} needs {'a' if self.prior is None else 'no'} prior of the model")

    def for_review(self, reason: ReviewReason) -> AnswerPolicy:
        """This policy for a review that was asked for this reason.

        The model must have no say in labels that judge a model. An audit sample and a pair therefore never get ``adaptive``: they are
        asked by ``two_then_third`` instead.
        """
        if self.rule is AnswerRule.ADAPTIVE and reason in (ReviewReason.AUDIT_SAMPLE, ReviewReason.PAIR):
            return AnswerPolicy(AnswerRule.TWO_THEN_THIRD, self.most)
        return self


def answers_wanted(answers: Sequence[HumanAnswer], policy: AnswerPolicy) -> int:
    """The number of answers that the task wants in all, from 1 to ``policy.most``. The task has enough when it has that many.

    The order of the answers does not matter. *Cannot tell* is an answer that may agree with another one. An answer without a readable
    label agrees with nothing, so it costs one more.

    Args:
        answers: the answers so far; none for a new task.
    """
    if policy.rule is AnswerRule.FIXED:
        return policy.most
    if policy.prior is not None:
        return _while_uncertain(answers, policy.prior, policy.most)
    if len(answers) < FIRST_ANSWERS:
        return min(FIRST_ANSWERS, policy.most)
    return min(len(answers) + _first_place_is_open(answers), policy.most)


def _first_place_is_open(answers: Sequence[HumanAnswer]) -> bool:
    counts = sorted(Counter(answer.label for answer in answers if answer.label is not None).values(), reverse=True)
    if not counts:
        return True
    # A single answer that two unreadable ones leave standing was confirmed by nobody.
    return counts[0] < FIRST_ANSWERS or (len(counts) > 1 and counts[0] == counts[1])


def _while_uncertain(answers: Sequence[HumanAnswer], prior: ModelPrior, most: int) -> int:
    if not answers:
        return 1
    unclear = sum(answer.label == CANNOT_TELL for answer in answers)
    if unclear >= FIRST_ANSWERS:
        return min(len(answers), most)
    certain = not unclear and max(prior.posterior(answers).values()) >= prior.certainty
    return min(len(answers) + (not certain), most)
