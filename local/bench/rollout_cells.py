"""Simulated rollouts of one cell, a true difference and an amount of traffic, each judged by the judge of the app.

A stream of texts is drawn, and what the two models and people say of each. The judge sees at each look what it would see in the app: how
many pairs agree, how many differ, and what people said of those. People answer at once, nothing fails, and the limit of reviews a day
holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from statistics import NormalDist
from typing import Any

import numpy as np

from lambdas.rollout.judge_rollout.guardrails import Calls, Operation
from lambdas.rollout.judge_rollout.pairs_read import PairsRead, Tally
from lambdas.rollout.judge_rollout.policy import AtEnd, Decision, Evidence, Policy, judge
from lambdas.rollout.judge_rollout.progress import after
from lambdas.rollout.progress import Progress
from stacks.settings.rollout import RolloutSettings

CHAMPION_ACCURACY = 0.70
"""With 0.65 for a challenger that loses five points, a z-test of unpaired reviews has the sample size that was measured on real models."""
NEITHER = 0.015
"""Share of texts on which the labels differ and people choose a third one."""
_BLOCK = 2_200
"""A little more than the z-tests read."""
_START = datetime(2026, 1, 1, tzinfo=UTC)
POWER = 0.8


class Said(IntEnum):
    """One text: who agrees with people. The labels of the first two are equal, those of the others differ."""

    BOTH, NONE, CHALLENGER, CHAMPION, A_THIRD = range(5)


def shares(difference: float) -> list[float]:
    """How often each :class:`Said` comes.

    Two models that are equally good differ on one text in eight, and more the less they are equal: 12 to 13 of 100 texts were measured
    for two trainings of one model.
    """
    alone = 0.11 + abs(difference) / 2
    challenger, champion = (alone + difference) / 2, (alone - difference) / 2
    both = CHAMPION_ACCURACY - champion
    return [both, 1 - both - challenger - champion - NEITHER, challenger, champion, NEITHER]


@dataclass(frozen=True)
class Cell:
    """``difference``: challenger less champion, as a share of texts. ``a_day``: predictions."""

    difference: float
    a_day: int
    settings: RolloutSettings


@dataclass(frozen=True)
class Run:
    """How one simulated rollout ended.

    Attributes:
        labels: texts that people were asked about until then. ``predictions``: answered by then. ``met``: of them, by the challenger.
        comparisons: what the other tests made of the same stream: name -> (rolled back, labels).
        betting: decision and labels of the betting test on the same pairs, in the rollouts that it reads.
    """

    decision: str
    labels: int
    predictions: int
    met: float
    comparisons: dict[str, tuple[bool, int]]
    betting: tuple[str, int] | None = None


class Stream:
    """Texts in their order, drawn in blocks when they are needed."""

    def __init__(self, rng: np.random.Generator, difference: float) -> None:
        self._rng, self._edges = rng, np.cumsum(shares(difference))[:-1]
        self._drawn = np.empty(0, dtype=np.int8)

    def texts(self, first: int, count: int) -> Any:
        """:class:`Said` of each; an array of int8."""
        while len(self._drawn) < first + count:
            block = np.searchsorted(self._edges, self._rng.random(_BLOCK), side="right").astype(np.int8)
            self._drawn = np.concatenate([self._drawn, block])
        return self._drawn[first : first + count]


def policy_of(settings: RolloutSettings) -> Policy:
    return Policy(
        weight_steps=settings.weight_steps,
        margin=settings.margin,
        error=settings.error,
        at_end=AtEnd(settings.at_end),
        max_holds=math.ceil(settings.max_hours * 3_600 / settings.step_seconds),
        min_invocations=settings.min_invocations,
        max_error_rate=settings.max_error_rate,
        max_latency_ratio=settings.max_latency_ratio,
        max_confidence_loss=settings.max_confidence_loss,
    )


def runs(cell: Cell, seed: int, batch: int, count: int) -> list[Run]:
    """``count`` rollouts, always the same for the same numbers."""
    key = [seed, round(1_000 * cell.difference) + 1_000, cell.a_day, batch]
    found = []
    for number in range(count):
        stream = Stream(np.random.default_rng([*key, number]), cell.difference)
        one = _run(cell, stream)
        found.append(replace(one, betting=betting(stream, cell.settings)) if number < BETTING_A_BATCH else one)
    return found


def _run(cell: Cell, stream: Stream) -> Run:
    settings, policy = cell.settings, policy_of(cell.settings)
    progress = Progress.begin(settings.weight_steps[0], _START.isoformat(), hours=settings.max_hours)
    met, before, step_began = 0.0, 0, 0
    seen: tuple[int, ...] = ()
    for look, (texts, said) in enumerate(_looks(cell, stream), start=1):
        arrived = int(look * settings.step_seconds * cell.a_day / 86_400)
        met, before = met + progress.share * (arrived - before), arrived
        now = _START + timedelta(seconds=look * settings.step_seconds)
        fresh = (*said, arrived - step_began >= policy.min_invocations)
        if fresh == seen and progress.holds + 1 < policy.max_holds:
            progress = replace(progress, holds=progress.holds + 1)
            continue
        seen = fresh
        verdict = judge(_evidence(texts, said, calls=arrived - step_began), progress, policy, now)
        if verdict.decision not in (Decision.ADVANCE, Decision.HOLD):
            return Run(verdict.decision.value, sum(said), arrived, met, comparisons(stream, settings))
        if verdict.decision is Decision.ADVANCE:
            step_began = arrived
        progress = after(verdict.decision, progress, policy)
    raise AssertionError("a rollout has an end")


def _evidence(texts: int, said: tuple[int, int, int], calls: int) -> Evidence:
    challenger, champion, third = said
    tally = Tally(better=challenger, worse=champion, even=texts - challenger - champion)
    differ = challenger + champion + third
    called = Calls(invocations=calls)
    return Evidence(PairsRead(tally, agreed=texts - differ, differ=differ, labelled=differ), Operation(called, called))


def _looks(cell: Cell, stream: Stream) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """(pairs so far, those on which people said challenger, champion, a third label) at each look, without an end."""
    settings, first, texts = cell.settings, 0, 0
    said = np.zeros(3, dtype=np.int64)
    a_day = 86_400 // settings.step_seconds
    # A day's pairs end when its reviews are spent, so no more texts are drawn than that may take.
    most = min(cell.a_day, 16 * settings.reviews_a_day)
    while True:
        today = stream.texts(first, most)
        counts = np.stack([np.cumsum(today == one) for one in (Said.CHALLENGER, Said.CHAMPION, Said.A_THIRD)])
        spent = np.searchsorted(counts.sum(axis=0), settings.reviews_a_day) + 1
        for look in range(1, a_day + 1):
            arrived = min(int(look * settings.step_seconds * cell.a_day / 86_400), most, int(spent))
            found = said + counts[:, arrived - 1] if arrived else said
            yield texts + arrived, (int(found[0]), int(found[1]), int(found[2]))
        used = min(most, int(spent))
        said, texts, first = said + counts[:, used - 1], texts + used, first + most


# -- the other tests ---------------------------------------------------------------------------------


LOOKS = 20
"""Of the z-test that is looked at after every step, until its horizon."""


def horizon(settings: RolloutSettings) -> int:
    """Labels that a z-test of unpaired reviews needs for a loss of ``margin`` with 80 % power, one-sided; both variants together."""
    normal = NormalDist()
    champion, challenger = CHAMPION_ACCURACY, CHAMPION_ACCURACY - settings.margin
    spread = champion * (1 - champion) + challenger * (1 - challenger)
    arm = ((normal.inv_cdf(1 - settings.error) + normal.inv_cdf(POWER)) / settings.margin) ** 2 * spread
    return 2 * math.ceil(arm)


BETTING_A_BATCH = 10
"""Rollouts of a batch that the betting test reads too. It looks after every text, so reading them all would take an hour."""
_BETTING_TEXTS = 20_000
"""It is undecided after as many."""
_BETTING_BLOCK = 200
_BETTING_GRID = 801
"""Steps of a quarter of a point: the test's interval is wider by at most one."""


def betting(stream: Stream, settings: RolloutSettings) -> tuple[str, int]:
    """What the confidence sequence by betting of the package ville decides on the same pairs, looked at after every text; and its labels.

    It promotes when the whole interval is above a loss of ``margin``, and rolls back when it is below zero. A two-sided sequence of error
    ``2 * error`` has ``error`` on each side, as the judge has.
    """
    from ville import BettingCS  # scipy.stats, which nothing else here needs

    sequence = BettingCS(bounds=(-1.0, 1.0), alpha=2 * settings.error, grid=_BETTING_GRID)
    labels = 0
    for first in range(0, _BETTING_TEXTS, _BETTING_BLOCK):
        said = stream.texts(first, _BETTING_BLOCK)
        sequence.update((said == Said.CHALLENGER).astype(float) - (said == Said.CHAMPION))
        lower, upper = sequence.lower_[first:], sequence.upper_[first:]
        decided = (lower > -settings.margin) | (upper < 0)
        asked = np.cumsum(said >= Said.CHALLENGER)
        if decided.any():
            when = int(np.argmax(decided))
            return ("promote" if lower[when] > -settings.margin else "roll_back"), labels + int(asked[when])
        labels += int(asked[-1])
    return "inconclusive", labels


def comparisons(stream: Stream, settings: RolloutSettings) -> dict[str, tuple[bool, int]]:
    """Every second text is answered by the challenger, and people review each: without pairs, a label says one thing of one variant."""
    labels = horizon(settings)
    said = stream.texts(0, labels)
    champion, challenger = said[0::2], said[1::2]
    right = [
        ((texts == Said.BOTH) | (texts == alone)).cumsum() for texts, alone in ((champion, Said.CHAMPION), (challenger, Said.CHALLENGER))
    ]
    sizes = np.linspace(0, labels // 2, LOOKS + 1)[1:].astype(int)
    rates = [one[sizes - 1] / sizes for one in right]
    error = np.sqrt(sum(rate * (1 - rate) / sizes for rate in rates))
    worse = (rates[0] - rates[1]) / np.maximum(error, 1e-12) > NormalDist().inv_cdf(1 - settings.error)
    stopped = int(np.argmax(worse)) if worse.any() else LOOKS - 1
    return {"z_fixed": (bool(worse[-1]), labels), "z_every_step": (bool(worse.any()), 2 * int(sizes[stopped]))}
