"""What many retrainings lose in spite of the gates: ``python -m local.bench gates``.

Each simulated app retrains ten times, or as often as is asked for, on one frozen test set. A candidate is a little worse than its
champion, equal or better. What passes the gates becomes champion. The app's own bootstrap and gates judge, and its own rule says which
champion is the best so far.

Whether a model is right on a text depends on how hard the text is and on chance, so any two models differ on about one text in eight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from lambdas.tuning.best_so_far import best_so_far, compared_with_best
from lambdas.tuning.check_gates.gates import BEST, not_inferior
from lambdas.tuning.evaluation import SliceScore
from model_code.scoring import Labels, Resamples, paired_difference

ROUNDS = 10
FIRST_ACCURACY = 0.75
GROUP = 4
"""Texts of one group."""
SHARED = 0.91
"""Correlation of two models on one text. They differ on 12 of 100 texts then, as two trainings of one model were measured to."""
RESAMPLES = 1_000
"""Fewer than an evaluation draws: the intervals are as wide, and it takes a quarter of the time."""
_BATCH = 20
_LABELS = 3


@dataclass(frozen=True)
class Cell:
    """``step``: the true accuracy of each candidate minus that of its champion. ``margin``: largest loss to champion and to best.
    ``rounds``: retrainings.
    """

    texts: int
    margin: float
    step: float
    rounds: int = ROUNDS


CELLS = tuple(Cell(texts, margin, step) for texts, margin in ((900, 0.06), (3_000, 0.03)) for step in (-0.01, 0.0, 0.01))
"""The margins of settings/dev.yaml and settings/prod.yaml, on as many test texts as they can be used with."""


@dataclass(frozen=True)
class Model:
    """``accuracy`` is the true one. ``predicted``: its answers, (texts,). ``properties``: of its model package."""

    name: str
    accuracy: float
    predicted: Labels
    properties: Mapping[str, str]


@dataclass(frozen=True)
class Life:
    """How one app fared: true accuracy lost in all rounds, and how many candidates were refused."""

    fall: float
    refused: int


@cache
def _resamples(texts: int) -> Resamples:
    return Resamples.draw([f"g{number // GROUP}" for number in range(texts)], count=RESAMPLES, seed=0)


class Frozen:
    """Frozen test texts, and models that answer them."""

    def __init__(self, texts: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self._truth = rng.integers(0, _LABELS, texts)
        self._hardness = rng.normal(0, SHARED**0.5, texts)
        self._resamples = _resamples(texts)

    def answers(self, accuracy: float) -> Labels:
        texts = len(self._truth)
        right = self._hardness + self._rng.normal(0, (1 - SHARED) ** 0.5, texts) < NormalDist().inv_cdf(accuracy)
        others = (self._truth + self._rng.integers(1, _LABELS, texts)) % _LABELS
        found: NDArray[np.int64] = np.where(right, self._truth, others)
        return found

    def difference(self, first: Model, second: Model) -> SliceScore:
        found = paired_difference(self._truth, first.predicted, second.predicted, self._resamples)
        return SliceScore.parse({**self._resamples.sizes, **found})


def lives(cell: Cell, seed: int, batch: int, count: int) -> list[tuple[Life, Life]]:
    """``count`` apps without and with the gate against the best champion so far; always the same for the same numbers."""
    found = []
    for number in range(count):
        key = [seed, cell.texts, round(1_000 * cell.step) + 1_000, batch, number]
        without, with_best = (life(cell, np.random.default_rng(key), both=both) for both in (False, True))
        found.append((without, with_best))
    return found


def life(cell: Cell, rng: np.random.Generator, *, both: bool) -> Life:
    """All retrainings. ``both``: a candidate must not lose too much to the best champion so far, either."""
    test, refused = Frozen(cell.texts, rng), 0
    champion = Model("0", FIRST_ACCURACY, test.answers(FIRST_ACCURACY), {})
    known = {champion.name: champion}
    for number in range(1, cell.rounds + 1):
        accuracy = champion.accuracy + cell.step
        candidate = Model(str(number), accuracy, test.answers(accuracy), {})
        best = known[best_so_far(champion.name, champion.properties)]
        to_champion = test.difference(candidate, champion)
        to_best = to_champion if best is champion else test.difference(candidate, best)
        passed = not_inferior(to_champion, cell.margin).passed
        if both and best is not champion:
            passed = passed and not_inferior(to_best, cell.margin, BEST).passed
        if passed:
            remembered = compared_with_best(best.name, to_best.macro_f1.value)
            champion = Model(candidate.name, accuracy, candidate.predicted, remembered)
            known[champion.name] = champion
        refused += not passed
    return Life(FIRST_ACCURACY - champion.accuracy, refused)


def batches(apps: int) -> list[int]:
    """The sizes of the batches of one cell."""
    return [min(_BATCH, apps - first) for first in range(0, apps, _BATCH)]


def steps(apps: int) -> int:
    """Steps that :func:`measure` tells of."""
    return len(CELLS) * len(batches(apps))


def measure(apps: int, rounds: int, seed: int, *, processes: int, on_step: Callable[[], None]) -> dict[str, Any]:
    """All figures. ``apps``: of each cell. ``on_step`` is called :func:`steps` times."""
    cells = [replace(cell, rounds=rounds) for cell in CELLS]
    found: dict[Cell, list[tuple[Life, Life]]] = {cell: [] for cell in cells}
    with ProcessPoolExecutor(processes) as pool:
        waiting = {pool.submit(lives, cell, seed, number, count): cell for cell in cells for number, count in enumerate(batches(apps))}
        for done in as_completed(waiting):
            found[waiting[done]] += done.result()
            on_step()
    return {"apps": apps, "rounds": rounds, "cells": [figures(cell, ended) for cell, ended in found.items()]}


def figures(cell: Cell, ended: Sequence[tuple[Life, Life]]) -> dict[str, Any]:
    """Points lost and the share of candidates that were refused, without and with the second gate."""
    result: dict[str, Any] = {"texts": cell.texts, "margin": cell.margin, "step_points": round(100 * cell.step, 1)}
    for name, one in (("champion_only", [first for first, _ in ended]), ("with_best", [second for _, second in ended])):
        falls = [100 * life.fall for life in one]
        result[name] = {
            "fall_points": round(float(np.mean(falls)), 2),
            "fall_points_95_of_100": round(float(np.quantile(falls, 0.95)), 2),
            "refused": round(sum(life.refused for life in one) / (len(one) * cell.rounds), 4),
        }
    return result


def tables(content: Mapping[str, Any]) -> Iterator[Table]:
    shown = Table(title=f"{content['rounds']} retrainings in each of {content['apps']} apps; points lost: mean / 95 of 100")
    for column in ("test texts", "margin", "each candidate", "champion only: lost", "refused", "and best so far: lost", "refused"):
        shown.add_column(column, justify="right")
    for cell in content["cells"]:
        both = (
            text
            for one in (cell["champion_only"], cell["with_best"])
            for text in (f"{one['fall_points']:.1f} / {one['fall_points_95_of_100']:.1f}", f"{100 * one['refused']:.1f} %")
        )
        shown.add_row(f"{cell['texts']:,}", f"{cell['margin']:.2f}", f"{cell['step_points']:+.0f}", *both)
    yield shown
