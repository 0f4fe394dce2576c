"""Ways of doing one thing, timed side by side: in every round each way runs once, so a busy machine slows them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

FEWEST_ROUNDS = 3


def nothing() -> None:
    """A way that needs no preparation."""


@dataclass(frozen=True)
class Way:
    """``run`` is timed and its seconds are divided by ``size`` (texts, calls); ``prepare`` comes before each run and is not."""

    name: str
    run: Callable[[], object]
    size: int = 1
    prepare: Callable[[], object] = nothing


@dataclass(frozen=True)
class Comparison:
    """Several ways of one thing; the first is the base of every ratio. ``unit`` says what one of ``size`` is.

    ``rounds`` is enough for quartiles that say something, in the time that the whole bench has.
    """

    name: str
    question: str
    unit: str
    ways: Sequence[Way]
    rounds: int = 7


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of two values or more."""
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True)
class Figure:
    """One way's seconds a unit, and the ratio to the base in the same round."""

    name: str
    seconds: Spread
    ratio: Spread
    rounds: int


def measure(
    ways: Sequence[Way],
    rounds: int,
    *,
    on_round: Callable[[], None] = nothing,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds per unit of each way, one number per round. A first round for imports and caches does not count.

    The order moves on by one in each round: none always runs after the same other.
    """
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    for number in range(rounds + 1):
        first = number % len(ways)
        for way in (*ways[first:], *ways[:first]):
            way.prepare()
            began = clock()
            way.run()
            if number:
                seconds[way.name].append((clock() - began) / way.size)
        on_round()
    return seconds


def compare(seconds: Mapping[str, Sequence[float]]) -> list[Figure]:
    """Figures in the order given; the first way is the base, and its ratio is 1."""
    base = next(iter(seconds.values()))
    return [
        Figure(
            name,
            Spread.of(values),
            Spread.of([value / reference for value, reference in zip(values, base, strict=True)]),
            len(values),
        )
        for name, values in seconds.items()
    ]
