"""How often people agree with a variant, estimated from the few answers that they looked at, and how sure that is. Pure.

A reviewed answer counts for as many answers as it stands for: its weight is the inverse of its probability of being there (Horvitz
and Thompson 1952). The rate is the weighted mean (Hajek's ratio) and its variance that of the ratio by linearisation, for draws with
replacement (Saerndal, Swensson and Wretman 1992, 5.7), since the question is about traffic to come. So that a handful of reviews that
all say the same is no certainty, one agreeing and one disagreeing review at the heaviest weight are added for the variance (after
Agresti and Caffo 2000): people may not have seen yet what stands for most of the traffic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """Weighted answers of one variant with a label by people, as sums.

    Attributes:
        weight, agreeing: sum of the weights of all answers, and of those that people agree with.
        squares, agreeing_squares: the same of the squared weights.
        heaviest: the largest weight that an answer of this variant could have had.
    """

    weight: float = 0.0
    agreeing: float = 0.0
    squares: float = 0.0
    agreeing_squares: float = 0.0
    heaviest: float = 1.0

    @classmethod
    def of(cls, answers: Iterable[tuple[float, bool]], heaviest: float) -> Sample:
        """Args:
        answers: (weight, whether people agree with it), weights above 0.
        heaviest: see above; above 0.
        """
        pairs = list(answers)
        agreeing = [weight for weight, agrees in pairs if agrees]
        return cls(
            weight=math.fsum(weight for weight, _ in pairs),
            agreeing=math.fsum(agreeing),
            squares=math.fsum(weight * weight for weight, _ in pairs),
            agreeing_squares=math.fsum(weight * weight for weight in agreeing),
            heaviest=heaviest,
        )

    @property
    def rate(self) -> float:
        """Share of answers that people agree with, 0..1; 0 without an answer."""
        return self.agreeing / self.weight if self.weight else 0.0

    @property
    def effective(self) -> float:
        """How many unweighted reviews would tell as much (Kish 1965), at most the number of answers; the added pair not counted."""
        weight, squares = self.weight + 2 * self.heaviest, self.squares + 2 * self.heaviest**2
        return weight**2 / squares - 2

    @property
    def variance(self) -> float:
        """The variance of :attr:`rate`. It is largest without an answer: 1/4 x 1/2."""
        pair, weight = self.heaviest**2, self.weight + 2 * self.heaviest
        rate = (self.agreeing + self.heaviest) / weight
        return ((self.agreeing_squares + pair) * (1 - 2 * rate) + rate**2 * (self.squares + 2 * pair)) / weight**2


@dataclass(frozen=True)
class Reviews:
    """What became of the answers of one variant that people were asked about; counts, and the weighted ``sample`` of those with a label.

    ``waiting``: not answered yet. ``undecided``: answered without a majority. ``dead_lettered``: failed, waiting for an operator.
    """

    labelled: int = 0
    agreed: int = 0
    waiting: int = 0
    undecided: int = 0
    dead_lettered: int = 0
    sample: Sample = Sample()

    @property
    def unlabelled(self) -> int:
        return self.waiting + self.undecided + self.dead_lettered


def loss(champion: Sample, challenger: Sample) -> float:
    """How much less people agree with the challenger, -1..1."""
    return champion.rate - challenger.rate


def standard_error(champion: Sample, challenger: Sample) -> float:
    """The standard error of the loss. The two samples have different texts, so they are independent."""
    return math.sqrt(champion.variance + challenger.variance)
