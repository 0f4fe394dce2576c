"""How many answers a task wants, given the answers that it has: pure.

A backend that can ask one more person asks this function after each answer, and ends the task when as many answers are there as are
wanted. Amazon A2I cannot: it asks a number of people that is fixed when the review starts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from contracts.labels import CANNOT_TELL, FEWEST_LABELS
from lambdas.common.review import HumanAnswer

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

    The probability that its answer leaves is shared equally by the other labels, because the record of a prediction has no more.

    Attributes:
        label: the model's answer.
        confidence: its probability.
        labels: how many labels there are.
        accuracy: the share of one person's answers that are right, which must be above chance.
        certainty: the probability of the first label at which nobody else is asked.
    """

    label: str
    confidence: float
    labels: int
    accuracy: float = 0.8
    certainty: float = 0.85

    def __post_init__(self) -> None:
        if self.labels < FEWEST_LABELS:
            raise ValueError(f"labels {self.labels} must be at least {FEWEST_LABELS}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence {self.confidence} must be above 0 and below 1, or no answer of people could change the label")
        if not 1 / self.labels < self.accuracy < 1:
            raise ValueError(f"accuracy {self.accuracy} must be above {1 / self.labels:g}, which is chance, and below 1")
        if not 0.5 <= self.certainty < 1:
            raise ValueError(f"certainty {self.certainty} must be from 0.5 to below 1")

    def posterior(self, answers: Sequence[HumanAnswer]) -> dict[str, float]:
        """The probability after the answers of each label that the model or a person chose.

        People's errors are taken as independent, and as equally likely for each label. Answers without a label say nothing.
        """
        votes = Counter(answer.label for answer in answers if answer.label is not None and answer.label != CANNOT_TELL)
        odds, other = self.accuracy * (self.labels - 1) / (1 - self.accuracy), (1 - self.confidence) / (self.labels - 1)
        named = {self.label, *votes}
        weights = {label: (self.confidence if label == self.label else other) * odds ** votes[label] for label in named}
        total = sum(weights.values()) + max(0, self.labels - len(named)) * other
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
