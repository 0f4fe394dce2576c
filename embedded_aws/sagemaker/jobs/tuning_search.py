"""Hyper-parameter proposals for the four strategies, by Optuna's ask and tell.

The first proposals of a Bayesian search are spread over the ranges: drawn at random, two or three of them are often nearly one.
Hyperband proposes at random here, and lets every training job finish: what it saves on AWS is not emulated.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna

from embedded_aws.core.api import validation_error

optuna.logging.set_verbosity(optuna.logging.ERROR)
_MINIMUM_FOR_MODEL = 3
_SEED = 20_240_601
"""Seed of a request without ``RandomSeed``. SageMaker draws another one each time; here a run can be repeated."""


class Search:
    """One tuning job's proposals. The seed makes the order of proposals repeatable as far as results arrive in order."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Raises ApiError (ValidationException) for ranges that the strategy does not take."""
        self._ranges = check_ranges(config)
        self.strategy = config["Strategy"]
        seed = config.get("RandomSeed", _SEED)
        samplers: dict[str, Any] = {
            "Random": lambda: optuna.samplers.RandomSampler(seed=seed),
            "Bayesian": lambda: optuna.samplers.TPESampler(seed=seed, n_startup_trials=_MINIMUM_FOR_MODEL, constant_liar=True),
            "Hyperband": lambda: optuna.samplers.RandomSampler(seed=seed),
            "Grid": lambda: optuna.samplers.RandomSampler(seed=seed),
        }
        goal = config["HyperParameterTuningJobObjective"]["Type"].lower()
        self._study = optuna.create_study(direction=goal, sampler=samplers[self.strategy]())
        self._design = first_design(self._ranges, seed) if self.strategy == "Bayesian" else iter(())
        self._to_spread = max(_MINIMUM_FOR_MODEL, config.get("ResourceLimits", {}).get("MaxParallelTrainingJobs", 1))
        if self.strategy == "Grid":  # Optuna's own grid sampler works only inside its optimisation loop
            combinations = list(itertools.product(*(item["Values"] for item in self._ranges)))
            random.Random(seed).shuffle(combinations)  # noqa: S311  (an order, no secret)
            for values in combinations:
                self._study.enqueue_trial(dict(zip((item["Name"] for item in self._ranges), values, strict=True)))

    def warm_start(self, parameters: Mapping[str, str], value: float) -> None:
        """Tell what a parent job's training job had found; ignored where it lies outside today's ranges."""
        distributions = {item["Name"]: _distribution(item) for item in self._ranges}
        typed = {item["Name"]: _typed(item, parameters[item["Name"]]) for item in self._ranges if item["Name"] in parameters}
        if len(typed) == len(distributions) and all(_holds(distribution, typed[name]) for name, distribution in distributions.items()):
            self._study.add_trial(optuna.trial.create_trial(params=typed, distributions=distributions, value=value))

    def ask(self) -> tuple[Any, dict[str, str]]:
        """A trial and its hyper-parameters as strings, as the service passes them."""
        if len(self._study.trials) < self._to_spread and (spread := next(self._design, None)):
            self._study.enqueue_trial(spread)
        trial = self._study.ask({item["Name"]: _distribution(item) for item in self._ranges})
        return trial, {name: str(value) for name, value in trial.params.items()}

    def tell(self, trial: Any, value: float | None) -> None:
        state = optuna.trial.TrialState.COMPLETE if value is not None else optuna.trial.TrialState.FAIL
        self._study.tell(trial, value, state=state)

    @property
    def grid_size(self) -> int | None:
        """How many combinations a grid has, or None."""
        if self.strategy != "Grid":
            return None
        return math.prod(len(item["Values"]) for item in self._ranges)


def first_design(ranges: Sequence[Mapping[str, Any]], seed: int) -> Iterator[dict[str, Any]]:
    """Points that fill the ranges evenly, however many are taken: the first two are at least 0.38 of a single number's range apart.

    Numbers step by the additive recurrence of the generalised golden ratio from a random start; categories take turns from a random one.
    Source: Roberts, "The Unreasonable Effectiveness of Quasirandom Sequences", 2018.
    """
    draw = random.Random(seed)  # noqa: S311  (an order, no secret)
    numbers = [item["Name"] for item in ranges if item["_kind"] != "Categorical"]
    golden = 1.5
    for _ in range(60):
        golden = (1 + golden) ** (1 / (len(numbers) + 1))
    starts = {item["Name"]: draw.random() for item in ranges}
    for count in itertools.count():
        point: dict[str, Any] = {}
        for place, item in enumerate(ranges):
            name = item["Name"]
            if item["_kind"] == "Categorical":
                values = item["Values"]
                turn = count + place * (count // len(values))  # ranges of as many values do not stay in step
                point[name] = values[(int(starts[name] * len(values)) + turn) % len(values)]
            else:
                point[name] = _scaled(item, (starts[name] + count / golden ** (1 + numbers.index(name))) % 1.0)
        yield point


def _scaled(item: Mapping[str, Any], share: float) -> float | int:
    """The value at a share of a range, on its scale."""
    low, high = float(item["MinValue"]), float(item["MaxValue"])
    value = min(high, low * (high / low) ** share) if item.get("ScalingType") == "Logarithmic" else low + (high - low) * share
    return round(value) if item["_kind"] == "Integer" else value


def _holds(distribution: Any, value: Any) -> bool:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return value in distribution.choices
    return bool(distribution._contains(distribution.to_internal_repr(value)))


def check_ranges(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All ranges with their kind under ``_kind``.

    Raises:
        ApiError: an empty or reversed range, or one that the strategy does not take.
    """
    ranges = config.get("ParameterRanges", {})
    found: list[dict[str, Any]] = []
    for kind in ("Continuous", "Integer", "Categorical"):
        for item in ranges.get(f"{kind}ParameterRanges", []):
            if kind != "Categorical" and float(item["MinValue"]) > float(item["MaxValue"]):
                raise validation_error(f"Parameter {item['Name']}: MinValue {item['MinValue']} is above MaxValue {item['MaxValue']}.")
            if kind != "Categorical" and item.get("ScalingType") == "Logarithmic" and float(item["MinValue"]) <= 0:
                raise validation_error(f"Parameter {item['Name']}: a logarithmic range must have only positive values.")
            found.append({**item, "_kind": kind})
    if not found:
        raise validation_error("ParameterRanges has no range: a tuning job needs at least one.")
    if config["Strategy"] == "Grid" and any(item["_kind"] != "Categorical" for item in found):
        raise validation_error("Grid search takes categorical parameter ranges only.")
    if config["Strategy"] == "Hyperband" and config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        raise validation_error("TrainingJobEarlyStoppingType must be Off with the strategy Hyperband.")
    return found


def _distribution(item: Mapping[str, Any]) -> Any:
    if item["_kind"] == "Categorical":
        return optuna.distributions.CategoricalDistribution(item["Values"])
    log = item.get("ScalingType") == "Logarithmic"
    if item["_kind"] == "Integer":
        return optuna.distributions.IntDistribution(int(item["MinValue"]), int(item["MaxValue"]), log=log)
    return optuna.distributions.FloatDistribution(float(item["MinValue"]), float(item["MaxValue"]), log=log)


def _typed(item: Mapping[str, Any], value: str) -> Any:
    return {"Categorical": str, "Integer": int, "Continuous": float}[item["_kind"]](value)
