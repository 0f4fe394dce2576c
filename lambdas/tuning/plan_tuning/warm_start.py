"""Which earlier tuning jobs this one may learn from: the service's rules for warm start, asked before it refuses. Pure.

Sources: SageMaker developer guide, "Run a warm start hyperparameter tuning job", restrictions; the fields of a training job definition that
may differ from the parent's are in the service's own refusal (aws/sagemaker-python-sdk issue 3693).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_CHANGES = 10
MOST_TRAINING_JOBS = 500
"""The most training jobs of a tuning job and its parents together."""
_ENDED = ("Completed", "Stopped", "Failed")
_STRATEGIES = ("Bayesian", "Random")
_KINDS = ("Categorical", "Continuous", "Integer")
_MAY_DIFFER = frozenset(
    ("AlgorithmSpecification", "CheckpointConfig", "EnableManagedSpotTraining", "InputDataConfig", "OutputDataConfig", "ResourceConfig",
     "RoleArn", "StaticHyperParameters", "StoppingCondition", "VpcConfig")
)  # fmt: skip

Ranges = Mapping[str, Sequence[Mapping[str, Any]]]
"""``ParameterRanges``: kind of range -> the hyper-parameters that are varied so."""


@dataclass(frozen=True)
class Following:
    """The tuning job that is to start.

    Attributes:
        ranges: ``ParameterRanges``.
        definition: ``StaticHyperParameters``, and each field of the training job definition that may not differ from a parent's.
    """

    strategy: str
    objective: str
    ranges: Ranges
    definition: Mapping[str, Any]
    max_jobs: int


@dataclass(frozen=True)
class WarmStart:
    """Parents (names of tuning jobs, perhaps none), and why these."""

    parents: tuple[str, ...]
    reason: str

    @property
    def config(self) -> dict[str, Any] | None:
        """WarmStartConfig, or None: the data changed, so what was learnt is transferred, not continued."""
        if not self.parents:
            return None
        return {
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": name} for name in self.parents],
            "WarmStartType": "TransferLearning",
        }


def choose(asked: Mapping[str, Mapping[str, Any] | str], following: Following) -> WarmStart:
    """Those of the asked parents that the service would take.

    Args:
        asked: name -> DescribeHyperParameterTuningJob's answer, or why there is none.
    """
    if not asked:
        return WarmStart((), "no earlier tuning job was named")
    parents: list[str] = []
    refused: list[str] = []
    trained = following.max_jobs
    for name, job in asked.items():
        problem = job if isinstance(job, str) else next(problems(job, following), None)
        launched = 0 if isinstance(job, str) else sum(job.get("TrainingJobStatusCounters", {}).values())
        if problem is None and trained + launched > MOST_TRAINING_JOBS:
            problem = f"with its {launched} training jobs there would be {trained + launched}, at most {MOST_TRAINING_JOBS} count together"
        if problem is None:
            parents.append(name)
            trained += launched
        else:
            refused.append(f"not from {name}: {problem}")
    learnt = [f"learns from the trials of {', '.join(parents)}"] if parents else []
    return WarmStart(tuple(parents), "; ".join(learnt + refused))


def problems(job: Mapping[str, Any], following: Following) -> Iterator[str]:
    """What the service would refuse, worst first."""
    config, definition = job["HyperParameterTuningJobConfig"], job.get("TrainingJobDefinition", {})
    if job["HyperParameterTuningJobStatus"] not in _ENDED:
        yield f"it is {job['HyperParameterTuningJobStatus']}, not ended"
    if job.get("ObjectiveStatusCounters", {}).get("Succeeded", 0) < 1:
        yield "none of its training jobs reported the objective"
    for strategy in (config["Strategy"], following.strategy):
        if strategy not in _STRATEGIES:
            yield f"strategy {strategy} takes no warm start"
    objective = config["HyperParameterTuningJobObjective"]
    if objective != {"Type": "Maximize", "MetricName": following.objective}:
        yield f"its objective is {objective['Type']} {objective['MetricName']}, not Maximize {following.objective}"
    yield from _differing_parameters(config.get("ParameterRanges", {}), _static(definition), following)
    for field in sorted({*definition, *following.definition} - _MAY_DIFFER):
        mine, other = following.definition.get(field), definition.get(field)
        if (mine or None) != (other or None):  # a flag that is off is described or left out
            yield f"{field} of its training jobs is {other!r}, now it is {mine!r}, and that may not change"


def _differing_parameters(ranges: Ranges, static: Mapping[str, str], following: Following) -> Iterator[str]:
    own_static = _static(following.definition)
    kinds, own_kinds = _kinds(ranges), _kinds(following.ranges)
    had, has = {*kinds, *static}, {*own_kinds, *own_static}
    if had != has:
        yield f"its hyper-parameters are others: {', '.join(sorted(had ^ has))}"
    changed = sorted(name for name in kinds.keys() & own_kinds.keys() if kinds[name] != own_kinds[name])
    if changed:
        yield f"it varied {changed[0]} as {kinds[changed[0]].lower()}, now it is {own_kinds[changed[0]].lower()}"
    counts = changes(ranges, static, own_static)
    if sum(counts.values()) > MOST_CHANGES:
        listed = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        yield f"{sum(counts.values())} changes of fixed hyper-parameters ({listed}), at most {MOST_CHANGES} are allowed"


def changes(ranges: Ranges, static: Mapping[str, str], own_static: Mapping[str, str]) -> dict[str, int]:
    """What counts against the limit: a changed static value is two changes, a varied one that becomes static is one a value.

    A continuous or integer range has no values to count; it is one.
    """
    found = {name: 2 for name, value in static.items() if name in own_static and own_static[name] != value}
    for kind in _KINDS:
        for item in ranges.get(f"{kind}ParameterRanges", []):
            if item["Name"] in own_static:
                found[item["Name"]] = len(item.get("Values", ())) or 1
    return found


def _static(definition: Mapping[str, Any]) -> dict[str, str]:
    """The fixed hyper-parameters without the one that the service adds (``_tuning_objective_metric``)."""
    return {name: value for name, value in definition.get("StaticHyperParameters", {}).items() if not name.startswith("_")}


def _kinds(ranges: Ranges) -> dict[str, str]:
    return {item["Name"]: kind for kind in _KINDS for item in ranges.get(f"{kind}ParameterRanges", [])}
