"""The guardrail *failures* in simulated steps: how often it rings for equal variants, and how soon for a bad challenger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from lambdas.rollout.judge_rollout.guardrails import Calls, Guardrail, Limits, Name, Operation, Watched, guardrails
from lambdas.rollout.progress import Progress, RolloutPolicy, WeightChange

START = "2026-11-24T10:00:00.000+00:00"
LIMITS = Limits(max_error_rate=0.05, max_latency_ratio=2.0, max_confidence_loss=0.2, error=0.05, steps=3)
PROMISED = 1 / LIMITS.threshold(Name.FAILURES)
RUNS = 240


def at(share: float) -> Progress:
    return replace(Progress.begin(share, START), weights=(WeightChange(START, 1 - share, share),))


def failures(operation: Operation, progress: Progress) -> Guardrail:
    return {one.name: one for one in guardrails(Watched(operation), progress, LIMITS)}[Name.FAILURES]


def step(chance: np.random.Generator, rates: tuple[float, float], calls: tuple[int, int], looks: int) -> Iterator[Operation]:
    """What each look sees of a step: so many minutes apart, each with so many ``calls`` of champion and challenger."""
    champion = challenger = Calls()
    minutes: list[tuple[Calls, Calls]] = []
    for failed in chance.binomial(calls, rates, (looks, 2)).tolist():
        minutes.append((Calls(calls[0], failed[0]), Calls(calls[1], failed[1])))
        champion, challenger = champion + minutes[-1][0], challenger + minutes[-1][1]
        yield Operation(champion, challenger, minutes=tuple(minutes))


def rung_at(chance: np.random.Generator, rates: tuple[float, float], calls: tuple[int, int], looks: int) -> int | None:
    """The look at which it rings, or None."""
    progress = at(calls[1] / sum(calls))
    return next((look for look, seen in enumerate(step(chance, rates, calls, looks), start=1) if failures(seen, progress).rings), None)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("calls", [(90, 10), (40, 40), (3, 1), (1, 9)], ids=lambda calls: f"{calls[0]} and {calls[1]}")
def test_equal_variants_ring_as_seldom_as_promised_at_every_failure_rate(rate: float, calls: tuple[int, int]) -> None:
    chance = np.random.default_rng(7)
    rung = sum(rung_at(chance, (rate, rate), calls, looks=8) is not None for _ in range(RUNS))
    assert rung <= PROMISED * RUNS


@pytest.mark.parametrize(
    ("rates", "calls", "looks"),
    [
        ((0.005, 0.2), (45, 5), 25),
        ((0.1, 0.2), (100, 100), 20),
        ((0.2, 0.4), (100, 100), 8),
        ((0.5, 1.0), (10, 10), 6),
        ((0.0, 1.0), (5, 5), 3),
        ((0.0, 1.0), (1, 9), 5),
    ],
)
def test_a_challenger_that_fails_more_often_is_noticed_soon(rates: tuple[float, float], calls: tuple[int, int], looks: int) -> None:
    chance = np.random.default_rng(7)
    noticed = sum(rung_at(chance, rates, calls, looks) is not None for _ in range(40))
    assert noticed >= 36


def test_a_change_of_the_shares_within_a_step_favours_nobody() -> None:
    """A tenth of the callers while nothing fails, half of them while everything fails half of the time."""
    quiet, storm = (Calls(900), Calls(100)), (Calls(100, 50), Calls(100, 50))
    seen = Operation(quiet[0] + storm[0], quiet[1] + storm[1], minutes=(quiet, storm))
    assert not failures(seen, at(0.1)).rings
    assert failures(replace(seen, minutes=None), at(0.1)).rings, "all in one, it would ring"


def test_minutes_in_which_one_variant_was_called_are_put_together() -> None:
    apart = ((Calls(9), Calls()), (Calls(), Calls(1, 1))) * 10
    together = ((Calls(9), Calls(1, 1)),) * 10
    found = [failures(Operation(Calls(90), Calls(10, 10), minutes=one), at(0.1)) for one in (apart, together)]
    assert found[0] == found[1]
    assert found[0].rings


@pytest.mark.parametrize(("share", "champion", "calls"), [(0.1, 0, 4), (0.1, 1, 6), (0.1, 2, 8), (0.5, 0, 13), (0.5, 1, 18), (0.5, 20, 3)])
def test_a_challenger_that_always_fails_is_noticed_while_the_champion_has_few_calls(share: float, champion: int, calls: int) -> None:
    found = [failures(Operation(Calls(champion), Calls(number, number)), at(share)).rings for number in (calls - 1, calls)]
    assert found == [False, True]


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.9])
def test_it_is_no_chance_that_the_champion_is_called_as_seldom(share: float) -> None:
    """If every call failed, whichever variant it met: the chance of the calls that make it ring before the champion's first."""
    first = next((number for number in range(1, 200) if failures(Operation(challenger=Calls(number, number)), at(share)).rings), 200)
    assert share**first <= PROMISED


@pytest.mark.parametrize(
    "progress", [at(1.0), Progress.begin(0.0, START, policy=RolloutPolicy.BLUE_GREEN)], ids=["all callers", "replaced"]
)
def test_where_no_caller_is_to_meet_the_champion_the_challenger_alone_is_judged(progress: Progress) -> None:
    assert failures(Operation(challenger=Calls(3, 3)), progress).rings
    assert not failures(Operation(challenger=Calls(80, 4)), progress).rings
