"""What the pairs of an experiment say for and against the challenger. Pure.

The score of a pair is 1 when people agree with the challenger alone, -1 when they agree with the champion alone, and else 0: the labels
are equal, or people chose a third one, or no label has a majority. The mean score is the difference in accuracy. Two bets run over all
pairs (:mod:`contracts.betting`): one refutes *the mean is at least 0*, the other *the mean is at most* ``-margin``.

Pairs are read in the order in which the texts came, by whole slots of ten seconds: within one only counts are known. None that waits for
people may be left out, or the labels that come soon, which may be the easy ones, would decide. So either the judge stops before the slot of
a pair that waits, or it goes on and counts the pair as the worst score for either bet. Whatever people say of it later, the evidence was at
least that at this place, and each bet holds at all places together, so the judge may take for each the place where it says most: one place
may refute a loss of the margin, and a later one no loss. One task that nobody answers then holds up nothing. A pair that people will never
answer (its task has failed, or its record is gone) counts as the worst score, too, and so does one whose people saw a model's label.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from contracts import betting
from lambdas.common.pairs import DifferingPair, Pairs, PairState, Slot

_LOST = (PairState.EXPIRED, PairState.DEAD_LETTERED, PairState.SWAYED)
_EXPECTED = {"better": 1, "worse": 1, "even": 14}
"""Pairs that are added before the labels still needed are expected: labels of two models differ on about one text in eight."""


_MOST_PLACES = 200
"""At so many slots with pairs that wait, the oldest ones, the judge looks at the evidence; beside the end."""
_Counts = tuple[tuple[float, int], ...]


@lru_cache(1_024)
def _log_evidence(counts: _Counts, mean: float) -> float:
    """One look asks for the same evidence several times."""
    return betting.log_evidence(counts, mean)


@dataclass(frozen=True)
class Tally:
    """Pairs that were read, by their score. ``lost``: nobody has said, nobody will, or a model had a part in what was said."""

    better: int = 0
    worse: int = 0
    even: int = 0
    lost: int = 0

    @property
    def read(self) -> int:
        return self.better + self.worse + self.even + self.lost

    def against_loss(self, loss: float) -> float:
        """Logarithm of the evidence against *the challenger loses* ``loss`` *or more*, which is below 1."""
        return _log_evidence(self._for_challenger(), (1 - loss) / 2)

    def against_no_loss(self) -> float:
        """Logarithm of the evidence against *the challenger does not lose*."""
        return _log_evidence(self._for_champion(), 0.5)

    def interval(self, error: float) -> tuple[float, float]:
        """The difference in accuracy, challenger less champion: each end is passed with a probability of at most ``error``."""
        low, high = betting.lower_bound(self._for_challenger(), error), betting.lower_bound(self._for_champion(), error)
        return 2 * low - 1, 1 - 2 * high

    # The bets take values within 0..1: half the score and a half more.
    def _for_challenger(self) -> _Counts:
        return ((1.0, self.better), (0.5, self.even), (0.0, self.worse + self.lost))

    def _for_champion(self) -> _Counts:
        return ((1.0, self.worse), (0.5, self.even), (0.0, self.better + self.lost))


@dataclass(frozen=True)
class PairsRead:
    """All pairs of an experiment by what became of them, and the tally of those that were read.

    Attributes:
        tally: up to the first slot with a pair that waits for people.
        beyond: up to each later slot with one, and up to the end; pairs that wait are counted as lost.
        agreed, differ: pairs of equal and of different labels; their sum is all pairs.
        labelled, waiting, undecided, lost: what became of those that differ.
        missed: reason -> predictions that were not paired.
        asked: reviews that were asked for because of a pair; the other pairs that differ were in review anyway.
        doubts: for each pair that differs, how much surer the champion was, -1..1.
        calls: begin of ten seconds -> who answered the callers of its pairs (``lambdas/common/pairs.py``).
    """

    tally: Tally = Tally()
    beyond: tuple[Tally, ...] = ()
    agreed: int = 0
    differ: int = 0
    labelled: int = 0
    waiting: int = 0
    undecided: int = 0
    lost: int = 0
    missed: Mapping[str, int] = field(default_factory=dict)
    asked: int = 0
    doubts: tuple[float, ...] = ()
    calls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def pairs(self) -> int:
        return self.agreed + self.differ

    @classmethod
    def of(cls, pairs: Pairs) -> PairsRead:
        differ = pairs.differ
        states = Counter(pair.state for pair in differ)
        first, *beyond = _tallies(pairs.slots)
        return cls(
            tally=first,
            beyond=tuple(beyond),
            agreed=pairs.agreed,
            differ=len(differ),
            labelled=states[PairState.LABELLED],
            waiting=states[PairState.WAITING],
            undecided=states[PairState.UNDECIDED],
            lost=sum(states[state] for state in _LOST),
            missed=dict(pairs.missed),
            asked=pairs.asked,
            doubts=tuple(pair.champion_confidence - pair.challenger_confidence for pair in differ),
            calls={slot.begin: slot.calls for slot in pairs.slots},
        )

    def for_a_loss(self) -> Tally:
        """The tally with most evidence against *the challenger does not lose*; of equal ones the first."""
        return max(self._places, key=Tally.against_no_loss)

    def against_a_loss(self, loss: float) -> Tally:
        """The tally with most evidence against *the challenger loses* ``loss`` *or more*; of equal ones the first."""
        return max(self._places, key=lambda one: one.against_loss(loss))

    def telling(self, margin: float, error: float) -> Tally:
        """The tally that the figures are told of: the one that makes a loss sure, else the one with most evidence for either decision."""
        lost, held = self.for_a_loss(), self.against_a_loss(margin)
        return lost if lost.against_no_loss() >= min(-math.log(error), held.against_loss(margin)) else held

    @property
    def _places(self) -> tuple[Tally, ...]:
        return (self.tally, *self.beyond)

    def _interval(self, margin: float, error: float) -> tuple[float, float]:
        """The difference in accuracy by all that decides: an end is beyond 0 or ``-margin`` exactly where that decision is reached."""
        lost, held = self.for_a_loss().interval(error), self.against_a_loss(margin).interval(error)
        low, high = max(lost[0], held[0]), min(lost[1], held[1])
        # Where the texts' difference has changed on the way, two places may exclude each other.
        return (low, high) if low <= high else self._places[-1].interval(error)

    def labels_needed(self, margin: float, error: float) -> int | None:
        """About how many labels more decide, if the next pairs are like those that were read; 0 when it is decided.

        None when such pairs decide nothing: the loss lies too near to both 0 and ``margin``.
        """
        tally, needed = self.telling(margin, error), -math.log(error)
        have = (self.against_a_loss(margin).against_loss(margin), self.for_a_loss().against_no_loss())
        if max(have) >= needed:
            return 0
        seen = {name: getattr(tally, name) + more for name, more in _EXPECTED.items()}
        shares = {name: count / sum(seen.values()) for name, count in seen.items()}
        grows = (
            betting.growth(((1.0, shares["better"]), (0.5, shares["even"]), (0.0, shares["worse"])), (1 - margin) / 2),
            betting.growth(((1.0, shares["worse"]), (0.5, shares["even"]), (0.0, shares["better"])), 0.5),
        )
        pairs = [(needed - log) / grow for log, grow in zip(have, grows, strict=True) if grow > 0]
        return math.ceil(min(pairs) * self._labels_per_pair()) if pairs else None

    def _labels_per_pair(self) -> float:
        expected = _EXPECTED["better"] + _EXPECTED["worse"]
        return (self.differ + expected) / (self.pairs + expected + _EXPECTED["even"])

    def as_json(self, margin: float, error: float) -> dict[str, Any]:
        """The figures of a verdict; evidence as numbers from 1 on, the interval as shares of all texts."""
        tally = self.telling(margin, error)
        low, high = self._interval(margin, error)
        return {
            "pairs": self.pairs,
            "agreed": self.agreed,
            "differ": self.differ,
            "asked": self.asked,
            "labelled": self.labelled,
            "waiting": self.waiting,
            "undecided": self.undecided,
            "lost": self.lost,
            "read": tally.read,
            "better": tally.better,
            "worse": tally.worse,
            "e_promote": betting.told(self.against_a_loss(margin).against_loss(margin)),
            "e_roll_back": betting.told(self.for_a_loss().against_no_loss()),
            "threshold": round(1 / error, 6),
            "interval": [round(low, 4), round(high, 4)],
            "labels_needed": self.labels_needed(margin, error),
            "missed": dict(self.missed),
        }


def _tallies(slots: tuple[Slot, ...]) -> list[Tally]:
    """One before each slot with a pair that waits for people, and one at the end."""
    counts: Counter[str] = Counter()
    found: list[Tally] = []
    for slot in slots:
        if len(found) < _MOST_PLACES and any(pair.state is PairState.WAITING for pair in slot.differ):
            found.append(Tally(**counts))
        counts["even"] += slot.agreed
        counts.update(_score(pair) for pair in slot.differ)
    return [*found, Tally(**counts)]


def _score(pair: DifferingPair) -> str:
    if pair.state in _LOST or pair.state is PairState.WAITING:
        return "lost"
    return {pair.challenger_label: "better", pair.champion_label: "worse"}.get(pair.human_label or "", "even")
