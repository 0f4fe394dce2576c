"""Which earlier tuning job a retraining may learn from: the service's rules for warm start, asked before it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_ENDED = ("Completed", "Stopped", "Failed")
_STRATEGIES = ("Bayesian", "Random")


@dataclass(frozen=True)
class NextTuning:
    """What the next tuning job will be; ``hyperparameters`` are the names of all of them, tunable and static."""

    strategy: str
    objective: str
    tunable: tuple[str, ...]
    hyperparameters: tuple[str, ...]


@dataclass(frozen=True)
class WarmStart:
    """Parents (names of tuning jobs, none or one), and why."""

    parents: tuple[str, ...]
    reason: str


def warm_start_from(job: Mapping[str, Any] | None, following: NextTuning) -> WarmStart:
    """The tuning job that the next one may learn from, if the service would take it.

    Args:
        job: DescribeHyperParameterTuningJob of the candidate parent, None when there is none any more.

    Source: SageMaker developer guide, "Run a warm start hyperparameter tuning job", restrictions.
    """
    if job is None:
        return WarmStart((), "no earlier tuning job is known")
    name, config = job["HyperParameterTuningJobName"], job["HyperParameterTuningJobConfig"]
    for problem in _problems(job, config, following):
        return WarmStart((), f"not from {name}: {problem}")
    return WarmStart((name,), f"learns from the trials of {name}")


def _problems(job: Mapping[str, Any], config: Mapping[str, Any], following: NextTuning) -> Iterable[str]:
    status = job["HyperParameterTuningJobStatus"]
    if status not in _ENDED:
        yield f"it is {status}, not ended"
    if job.get("ObjectiveStatusCounters", {}).get("Succeeded", 0) < 1:
        yield "none of its training jobs reported the objective"
    for strategy in (config["Strategy"], following.strategy):
        if strategy not in _STRATEGIES:
            yield f"strategy {strategy} takes no warm start"
    objective = config["HyperParameterTuningJobObjective"]
    if objective != {"Type": "Maximize", "MetricName": following.objective}:
        yield f"its objective is {objective['Type']} {objective['MetricName']}, not Maximize {following.objective}"
    tunable = _tunable(config)
    if tunable != set(following.tunable):
        yield f"it varied {', '.join(sorted(tunable))}, not {', '.join(sorted(following.tunable))}"
    static = {key for key in job.get("TrainingJobDefinition", {}).get("StaticHyperParameters", {}) if not key.startswith("_")}
    if len(tunable | static) != len(following.hyperparameters):
        yield f"it had {len(tunable | static)} hyper-parameters, the next one has {len(following.hyperparameters)}"


def _tunable(config: Mapping[str, Any]) -> set[str]:
    ranges = config.get("ParameterRanges", {})
    return {item["Name"] for kind in ("Integer", "Continuous", "Categorical") for item in ranges.get(f"{kind}ParameterRanges", [])}
