"""What SageMaker refuses of a tuning job that starts warm. Pure, but for the refusal itself.

Sources: SageMaker developer guide, "Warm Start Tuning Job Restrictions"; the fields that may differ are listed in the service's own
refusal, aws/sagemaker-python-sdk issue 3693. The wording of the other refusals is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from embedded_aws.core.api import validation_error

MOST_CHANGES = 10
_MAY_DIFFER = (
    "algorithmSpecification", "inputDataConfig", "outputDataConfig", "staticHyperParameters", "roleArn", "resourceConfig",
    "stoppingCondition", "vpcConfig", "enableManagedSpotTraining", "checkpointConfig",
)  # fmt: skip


def require_comparable(name: str, parent: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Raises ApiError (ValidationException), naming what of the parent tuning job ``name`` is too different."""
    objective = "HyperParameterTuningJobObjective"
    if parent["HyperParameterTuningJobConfig"][objective] != request["HyperParameterTuningJobConfig"][objective]:
        raise validation_error(f"Parent tuning job {name} must have the same objective metric.")
    before, after = _Parameters(parent), _Parameters(request)
    if before.total != after.total:
        raise validation_error(
            f"Parent tuning job {name} has {before.total} static and tunable hyperparameters,"
            f" this one has {after.total}: the total must be the same."
        )
    changed = next((key for key, kind in before.kinds.items() if after.kinds.get(key, kind) != kind), None)
    if changed:
        raise validation_error(f"The type of hyperparameter {changed} must be that of parent tuning job {name}: {before.kinds[changed]}.")
    count = before.changes(after)
    if count > MOST_CHANGES:
        raise validation_error(
            f"{count} changes of static hyperparameters against parent tuning job {name}: no more than {MOST_CHANGES} are allowed."
        )
    if any(_differing(parent["TrainingJobDefinition"], request["TrainingJobDefinition"])):
        raise validation_error(f"Only the following fields in TrainingJobDefinition are allowed to change: [{', '.join(_MAY_DIFFER)}].")


def require_identical(name: str, parent: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """The same of two training job definitions for WarmStartType IdenticalDataAndAlgorithm."""
    images = {definition["AlgorithmSpecification"].get("TrainingImage") for definition in (parent, own)}
    sources = [[channel["DataSource"] for channel in definition.get("InputDataConfig", [])] for definition in (parent, own)]
    if len(images) > 1 or sources[0] != sources[1]:
        raise validation_error(
            f"WarmStartType IdenticalDataAndAlgorithm: image and input data must be those of {name}; with others use TransferLearning."
        )


def _differing(parent: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    free = {field[0].upper() + field[1:] for field in _MAY_DIFFER}
    for field in {*parent, *own} - free:
        if (parent.get(field) or None) != (own.get(field) or None):
            yield field


class _Parameters:
    """The hyper-parameters of a tuning job: those that are varied, by kind, and those that are fixed."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.static: Mapping[str, str] = job["TrainingJobDefinition"].get("StaticHyperParameters", {})
        ranges = job["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
        listed = [(kind.removesuffix("ParameterRanges"), item) for kind, items in ranges.items() for item in items]
        self.kinds = {item["Name"]: kind for kind, item in listed}
        self._values = {item["Name"]: len(item.get("Values", ())) or 1 for _, item in listed}
        self.total = len(self.kinds) + len(self.static)

    def changes(self, after: _Parameters) -> int:
        """A changed static value counts twice, a varied one that becomes static once for each of its values."""
        values = sum(2 for key, value in self.static.items() if after.static.get(key, value) != value)
        return values + sum(count for key, count in self._values.items() if key in after.static)
