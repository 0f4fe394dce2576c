"""The guardrail *failures* in simulated rollouts: how often it rings for equal variants, and how soon for a bad challenger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from lambdas.rollout.judge_rollout.guardrails import Calls, Limits, Name, Operation, Watched, guardrails
from lambdas.rollout.progress import Progress, WeightChange

START = "2026-11-24T10:00:00.000+00:00"
PROGRESS = replace(Progress.begin(0.1, START), weights=(WeightChange(START, 0.9, 0.1),))
LIMITS = Limits(max_error_rate=0.05, max_latency_ratio=2.0, max_confidence_loss=0.2, error=0.05)
PROMISED = 1 / LIMITS.threshold(Name.FAILURES)
RUNS = 150


def step(chance: np.random.Generator, rates: tuple[float, float], calls: tuple[int, int], looks: int) -> Iterator[Operation]:
    """What each look sees of a step, whose looks are so many ``calls`` of champion and challenger apart."""
    champion = challenger = Calls()
    for failed in chance.binomial(calls, rates, (looks, 2)).tolist():
        champion, challenger = champion + Calls(calls[0], failed[0]), challenger + Calls(calls[1], failed[1])
        yield Operation(champion, challenger)


def rung_at(chance: np.random.Generator, rates: tuple[float, float], calls: tuple[int, int], looks: int) -> int | None:
    """The look at which it rings, or None."""
    for look, operation in enumerate(step(chance, rates, calls, looks), start=1):
        found = {one.name: one for one in guardrails(Watched(operation), PROGRESS, LIMITS)}
        if found[Name.FAILURES].rings:
            return look
    return None


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1, 0.2, 0.5])
@pytest.mark.parametrize("calls", [(45, 5), (20, 20)], ids=["a canary", "a shadow"])
def test_equal_variants_ring_as_seldom_as_promised_at_every_failure_rate(rate: float, calls: tuple[int, int]) -> None:
    chance = np.random.default_rng(7)
    rung = sum(rung_at(chance, (rate, rate), calls, looks=30) is not None for _ in range(RUNS))
    assert rung <= PROMISED * RUNS + 2, "at most 1.25 % of the runs, and what chance adds to two of them"


@pytest.mark.parametrize(
    ("rates", "calls", "looks"),
    [
        ((0.005, 0.2), (45, 5), 20),
        ((0.005, 0.2), (5, 5), 25),
        ((0.005, 0.5), (5, 5), 8),
        ((0.0, 1.0), (5, 5), 3),
        ((0.1, 0.4), (45, 5), 20),
    ],
)
def test_a_challenger_that_fails_more_often_is_noticed_soon(rates: tuple[float, float], calls: tuple[int, int], looks: int) -> None:
    chance = np.random.default_rng(7)
    noticed = sum(rung_at(chance, rates, calls, looks) is not None for _ in range(50))
    assert noticed >= 45


def test_a_change_of_the_shares_within_a_step_favours_nobody() -> None:
    """A tenth of the callers while nothing fails, half of them while everything fails half of the time."""
    quiet, storm = (Calls(900), Calls(100)), (Calls(100, 50), Calls(100, 50))
    operation = Operation(quiet[0] + storm[0], quiet[1] + storm[1], minutes=(quiet, storm))
    assert not guardrails(Watched(operation), PROGRESS, LIMITS)[2].rings


def test_minutes_in_which_one_variant_was_called_are_put_together() -> None:
    apart = ((Calls(9), Calls()), (Calls(), Calls(1, 1))) * 10
    together = ((Calls(9), Calls(1, 1)),) * 10
    found = [guardrails(Watched(Operation(Calls(90), Calls(10, 10), minutes=one)), PROGRESS, LIMITS)[2] for one in (apart, together)]
    assert found[0] == found[1]
    assert found[0].rings
