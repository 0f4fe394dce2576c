"""What ends a rollout whatever people say of the answers: five guardrails, in the order in which they are asked. Pure.

1. **sample ratio**: callers are not answered by the variants in the shares that the weights say, so the variants are not compared.
2. **alarms** of the challenger.
3. **failures**: more of its calls fail than allowed, and more than of the champion's. Neither rate is known: both claims are refuted.
4. **latency**: in most minutes its mean latency is a multiple of the champion's.
5. **confidence**: where the labels differ, it is less sure than the champion by more than allowed.

All but the alarms are tests (:mod:`contracts.betting`). They share one probability of a false alarm equally, so that all together, at
all looks, ring in at most this share of the rollouts whose challenger is as good as the champion. A test that counts within one step
divides its part by the number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from typing import Any

from contracts import betting
from contracts.phrases import compared, counted
from contracts.shared_words import CHALLENGER, CHAMPION
from lambdas.rollout.progress import Progress, WeightChange

_SLOT = timedelta(seconds=10)
"""Callers are counted by it (``lambdas/common/pairs.py``)."""
_SETTLING = timedelta(minutes=5)
"""Before a change of weights is reported live, callers may meet the old weights or the new."""
_TOLERATED = 0.1
"""Part of a share by which callers may miss it: a failed call is no prediction."""
_ALMOST_NOBODY = 0.01
_ALMOST_NONE = 1e-6
"""Where no call may fail: a bet on something impossible would have no odds."""
_GUESSES = tuple(combinations((0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 0.95), 2))
"""(champion's, challenger's) failure rate, on which one gambler each bets."""
_MISSED = 0.98
"""One gambler more bets that this part of the calls meets the challenger, while the weights say another share within these bounds."""
_SHARES = (0.05, 0.9)


class Name(StrEnum):
    SAMPLE_RATIO = "sample_ratio"
    ALARMS = "alarms"
    FAILURES = "failures"
    LATENCY = "latency"
    CONFIDENCE = "confidence"


TESTS = (Name.SAMPLE_RATIO, Name.FAILURES, Name.LATENCY, Name.CONFIDENCE)


@dataclass(frozen=True)
class Calls:
    """Calls of one variant since the step began, those of its paired copies too, and how many failed."""

    invocations: int = 0
    failed: int = 0

    @classmethod
    def counted(cls, invocations: float, model_errors: float) -> Calls:
        """From CloudWatch's sums, which may lack a metric: a failure that only ``InvocationModelErrors`` has seen was a call, too."""
        return cls(round(max(invocations, model_errors)), round(model_errors))

    def __add__(self, other: Calls) -> Calls:
        return Calls(self.invocations + other.invocations, self.failed + other.failed)

    @property
    def error_rate(self) -> float:
        return self.failed / self.invocations if self.invocations else 0.0


@dataclass(frozen=True)
class Operation:
    """How the variants run.

    Attributes:
        latencies: (champion's, challenger's) mean latency of each minute of the step in which both were called, in one unit.
        alarms: names of the judged variant's alarms that are in ALARM.
        minutes: (champion's, challenger's) calls of each minute of the step. None: nobody counted by the minute.
    """

    champion: Calls = Calls()
    challenger: Calls = Calls()
    latencies: Sequence[tuple[float, float]] = ()
    alarms: tuple[str, ...] = ()
    minutes: Sequence[tuple[Calls, Calls]] | None = None


@dataclass(frozen=True)
class Limits:
    """Settings ``rollout``. ``error``: of all tests together. ``steps``: how many counts of a step begin anew."""

    max_error_rate: float
    max_latency_ratio: float
    max_confidence_loss: float
    error: float
    steps: int = 1

    def threshold(self, name: Name) -> float:
        """Evidence from which a test rings."""
        looks = self.steps if name in (Name.FAILURES, Name.LATENCY) else 1
        return len(TESTS) * looks / self.error


@dataclass(frozen=True)
class Guardrail:
    """One of them at one look. ``evidence`` and ``threshold`` are None for the alarms."""

    name: Name
    rings: bool
    reason: str
    evidence: float | None = None
    threshold: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name.value, "rings": self.rings, "e": self.evidence, "threshold": self.threshold, "reason": self.reason}


@dataclass(frozen=True)
class Watched:
    """What the guardrails look at."""

    operation: Operation = field(default_factory=Operation)
    doubts: Sequence[float] = ()
    """For each pair that differs, how much surer the champion was, -1..1."""
    calls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Begin of ten seconds -> who answered the callers of its pairs: ``<variant>``, or ``<variant>_by_subject`` where the subject chose."""


def guardrails(watched: Watched, progress: Progress, limits: Limits) -> list[Guardrail]:
    """All five, in their order."""
    operation = watched.operation
    return [
        _sample_ratio(watched.calls, progress, limits),
        Guardrail(Name.ALARMS, bool(operation.alarms), f"{', '.join(operation.alarms) or 'no alarm is'} in ALARM"),
        _failures(operation, progress.share, limits),
        _latency(operation.latencies, limits),
        _confidence(watched.doubts, limits),
    ]


def _test(name: Name, log: float, reason: str, limits: Limits) -> Guardrail:
    threshold = limits.threshold(name)
    return Guardrail(name, log >= math.log(threshold), reason, betting.told(log), round(threshold, 6))


def _sample_ratio(calls: Mapping[str, Mapping[str, int]], progress: Progress, limits: Limits) -> Guardrail:
    """Calls whose subject chose the variant come in clusters of any size, so only those count that the endpoint's weights split."""
    met = {CHAMPION: 0, CHALLENGER: 0}
    capital: dict[str, list[float]] = {"more": [0.0] * len(betting.BETS), "less": [0.0] * len(betting.BETS)}
    expected = 0.0
    for share, found in _settled(calls, progress.weights):
        challenger, champion = found.get(CHALLENGER, 0), found.get(CHAMPION, 0)
        met[CHAMPION], met[CHALLENGER] = met[CHAMPION] + champion, met[CHALLENGER] + challenger
        expected += share * (challenger + champion)
        for side, bound, own, other in (("more", share, challenger, champion), ("less", 1 - share, champion, challenger)):
            most = max(bound + _TOLERATED * min(share, 1 - share), _ALMOST_NOBODY)
            if most < 1:
                gains = [own * betting.pays(1.0, most, bet) + other * betting.pays(0.0, most, bet) for bet in betting.BETS]
                capital[side] = [had + gain for had, gain in zip(capital[side], gains, strict=True)]
    total = met[CHAMPION] + met[CHALLENGER]
    log = betting.log_mean([betting.log_mean(own) for own in capital.values()]) if total else 0.0
    reason = "no caller without a subject was answered yet while the weights were certain"
    if total:
        callers = counted(total, "caller")
        reason = f"the challenger answered {met[CHALLENGER]} of {callers} without a subject; by its weights it should be {expected:.0f}"
    return _test(Name.SAMPLE_RATIO, log, reason, limits)


def _settled(calls: Mapping[str, Mapping[str, int]], weights: Sequence[WeightChange]) -> Iterator[tuple[float, Mapping[str, int]]]:
    """(the challenger's share, calls) of each ten seconds in which the weights were certain."""
    changes = [(datetime.fromisoformat(change.at), change.challenger) for change in weights]
    for slot, found in calls.items():
        begin = datetime.fromisoformat(slot).replace(tzinfo=UTC)
        live = [share for at, share in changes if at <= begin]
        if live and not any(at - _SETTLING < begin + _SLOT and begin < at for at, _ in changes):
            yield live[-1], found


def _failures(operation: Operation, share: float, limits: Limits) -> Guardrail:
    """Two claims must be refuted: no more calls fail than may, and no more than of the champion's. If one is true, the bet against it
    rings as seldom as promised, and so does the guardrail."""
    champion, challenger = operation.champion, operation.challenger
    well = challenger.invocations - challenger.failed
    too_many = betting.log_evidence(((1.0, challenger.failed), (0.0, well)), max(limits.max_error_rate, _ALMOST_NONE))
    told = "the challenger was not called yet"
    if challenger.invocations:
        calls = counted(challenger.invocations, "call")
        told = f"{challenger.failed} of {calls} of the challenger failed ({percent(challenger.error_rate)})"
    beside = f"{champion.failed} of {champion.invocations:,} of the champion did ({percent(champion.error_rate)})"
    reason = f"{told}, {percent(limits.max_error_rate)} may fail{f', and {beside}' if champion.invocations else ''}"
    return _test(Name.FAILURES, min(too_many, _more_than_champion(operation, share)), reason, limits)


def _more_than_champion(operation: Operation, share: float) -> float:
    """Logarithm of the evidence against *the challenger's calls fail no more often than the champion's*, however often these fail.

    Each gambler has a guess of both rates. For each call, he is paid what happened's probability by his guess, divided by its probability
    if both variants fail equally often, which is the mean of his two rates over the calls of the minute. If the rates are equal, a minute
    pays at most 1 on the average, whatever they are; so they may be others in each minute. If the challenger fails less often, it pays
    less. The calls of a minute fail independently of each other.

    While the champion has few calls or none, little can be compared. One gambler more bets that this is no chance (:func:`_missed`).
    Where no caller shall meet both variants, the claim counts as refuted until the champion's first call.

    Source: Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for optional stopping", Journal of
    Statistical Planning and Inference, 2024.
    """
    champion, challenger = operation.champion, operation.challenger
    if not champion.invocations and not 0 < share < 1:
        return math.inf
    minutes = ((champion, challenger),) if operation.minutes is None else operation.minutes
    capital = [0.0] * len(_GUESSES)
    for one, other in _both_called(minutes):
        well, well_too = one.invocations - one.failed, other.invocations - other.failed
        for number, (failed, good, failed_too, good_too) in enumerate(_pays(one.invocations, other.invocations)):
            capital[number] += one.failed * failed + well * good + other.failed * failed_too + well_too * good_too
    return betting.log_mean([*capital, _missed(champion, challenger, share)])


def _missed(champion: Calls, challenger: Calls, share: float) -> float:
    """Logarithm of the capital of whoever bets that hardly a call meets the champion, although the weights send most callers there.

    By the weights, a call meets the challenger with a probability of at most ``share``. A copy for the other variant comes after each
    call, so both variants have as many: the gambler loses on each such pair.
    """
    least, most = _SHARES
    if not 0 < share <= most:
        return -math.inf
    bound = max(share, least)
    return challenger.invocations * _log(_MISSED, bound) + champion.invocations * _log(1 - _MISSED, 1 - bound)


def _both_called(minutes: Iterable[tuple[Calls, Calls]]) -> Iterator[tuple[Calls, Calls]]:
    """Minutes put together until both variants have been called, whatever failed; the last ones are left out when one was not."""
    champion, challenger = Calls(), Calls()
    for more_of_champion, more_of_challenger in minutes:
        champion, challenger = champion + more_of_champion, challenger + more_of_challenger
        if champion.invocations and challenger.invocations:
            yield champion, challenger
            champion, challenger = Calls(), Calls()


@lru_cache(4_096)
def _pays(champion: int, challenger: int) -> tuple[tuple[float, float, float, float], ...]:
    """Of each gambler, in a minute with so many calls: logarithms for a failed and a good call of the champion, then of the challenger."""
    pays = []
    for one, other in _GUESSES:
        mean = (champion * one + challenger * other) / (champion + challenger)
        pays.append((_log(one, mean), _log(1 - one, 1 - mean), _log(other, mean), _log(1 - other, 1 - mean)))
    return tuple(pays)


def _log(probability: float, other: float) -> float:
    return math.log(probability / other)


def _latency(latencies: Sequence[tuple[float, float]], limits: Limits) -> Guardrail:
    slow = sum(challenger > limits.max_latency_ratio * champion for champion, challenger in latencies)
    log = betting.log_evidence(((1.0, slow), (0.0, len(latencies) - slow)), 0.5)
    reason = "there is no minute yet in which both variants were called"
    if latencies:
        minutes = counted(len(latencies), "minute")
        reason = f"in {slow} of {minutes} the challenger took more than {limits.max_latency_ratio:g} times as long"
    return _test(Name.LATENCY, log, reason, limits)


def _confidence(doubts: Sequence[float], limits: Limits) -> Guardrail:
    values = ((0.5 + doubt / 2, 1) for doubt in doubts)
    log = betting.log_evidence(values, (1 + limits.max_confidence_loss) / 2)
    mean = math.fsum(doubts) / len(doubts) if doubts else 0.0
    reason = "no pair differs yet"
    if doubts:
        told = compared(mean, "less sure than the champion", "surer than the champion", "as sure as the champion")
        reason = f"where the labels differ, the challenger is {told}; it may be less sure by {limits.max_confidence_loss:.2f}"
    return _test(Name.CONFIDENCE, log, reason, limits)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"
