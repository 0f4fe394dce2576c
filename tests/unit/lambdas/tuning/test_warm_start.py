"""Warm start only where the service takes it; every parent that is left out says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lambdas.tuning.plan_tuning.warm_start import Following, WarmStart, changes, choose

STATIC = {"sagemaker_program": "train.py", "seed": "1", "max_length": "64", "review_share": "0.2", "replay_rows": "500", "soft_labels": "1"}
RANGES: dict[str, list[dict[str, Any]]] = {
    "ContinuousParameterRanges": [{"Name": "learning_rate", "MinValue": "1e-5", "MaxValue": "1e-4"}],
    "CategoricalParameterRanges": [{"Name": "epochs", "Values": ["2", "3"]}, {"Name": "layers", "Values": ["4"]}],
}
FOLLOWING = Following(
    strategy="Bayesian",
    objective="validation:macro_f1",
    ranges=RANGES,
    definition={"StaticHyperParameters": STATIC, "EnableNetworkIsolation": True},
    max_jobs=6,
)


def job(*, config: Mapping[str, Any] | None = None, static: Mapping[str, str] | None = None, **changed: Any) -> dict[str, Any]:
    definition = {
        "StaticHyperParameters": {**(STATIC if static is None else static), "_tuning_objective_metric": "validation:macro_f1"},
        "EnableNetworkIsolation": True,
        "EnableManagedSpotTraining": False,
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
        **changed.pop("definition", {}),
    }
    described: dict[str, Any] = {
        "HyperParameterTuningJobName": "t-1",
        "HyperParameterTuningJobStatus": "Completed",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:macro_f1"},
            "ParameterRanges": RANGES,
            **(config or {}),
        },
        "ObjectiveStatusCounters": {"Succeeded": 3},
        "TrainingJobStatusCounters": {"Completed": 3, "Stopped": 1},
        "TrainingJobDefinition": definition,
    }
    return described | changed


def ranges(**kinds: list[dict[str, Any]]) -> dict[str, Any]:
    return {"ParameterRanges": {f"{kind}ParameterRanges": items for kind, items in kinds.items()}}


@pytest.mark.parametrize("status", ["Completed", "Stopped", "Failed"])
def test_an_ended_job_of_the_same_kind_is_learnt_from(status: str) -> None:
    chosen = choose({"t-1": job(HyperParameterTuningJobStatus=status)}, FOLLOWING)
    assert chosen == WarmStart(("t-1",), "learns from the trials of t-1")
    assert chosen.config == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "t-1"}],
        "WarmStartType": "TransferLearning",  # the data is another
    }


def test_without_parents_there_is_no_warm_start() -> None:
    assert choose({}, FOLLOWING) == WarmStart((), "no earlier tuning job was named")
    assert choose({}, FOLLOWING).config is None


FIVE_OTHERS = {**STATIC, **dict.fromkeys(("seed", "max_length", "review_share", "replay_rows", "soft_labels"), "9")}


@pytest.mark.parametrize(
    "parent",
    [
        job(static=FIVE_OTHERS),  # ten changes
        job(definition={"ResourceConfig": {"InstanceType": "ml.p3.2xlarge"}, "StoppingCondition": {"MaxRuntimeInSeconds": 1}}),
        job(config=ranges(Continuous=[{"Name": "learning_rate", "MinValue": "1"}], Categorical=RANGES["CategoricalParameterRanges"])),
    ],
)
def test_what_may_differ_does_not_matter(parent: dict[str, Any]) -> None:
    assert choose({"t-1": parent}, FOLLOWING).parents == ("t-1",)


@pytest.mark.parametrize(
    ("parent", "why"),
    [
        (job(HyperParameterTuningJobStatus="InProgress"), "it is InProgress, not ended"),
        (job(ObjectiveStatusCounters={"Succeeded": 0}), "none of its training jobs reported the objective"),
        (job(config={"Strategy": "Hyperband"}), "strategy Hyperband takes no warm start"),
        (
            job(config={"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "train:loss"}}),
            "its objective is Minimize train:loss, not Maximize validation:macro_f1",
        ),
        (
            job(static={"sagemaker_program": "train.py"}),
            "its hyper-parameters are others: max_length, replay_rows, review_share, seed, soft_labels",
        ),
        (
            job(config=ranges(Continuous=RANGES["ContinuousParameterRanges"], Integer=[{"Name": "epochs"}, {"Name": "layers"}])),
            "it varied epochs as integer, now it is categorical",
        ),
        (
            job(static={**FIVE_OTHERS, "sagemaker_program": "old.py"}),
            "12 changes of fixed hyper-parameters (max_length 2, replay_rows 2, review_share 2, sagemaker_program 2, seed 2, "
            "soft_labels 2), at most 10 are allowed",
        ),
        (
            job(definition={"RetryStrategy": {"MaximumRetryAttempts": 2}}),
            "RetryStrategy of its training jobs is {'MaximumRetryAttempts': 2}, now it is None, and that may not change",
        ),
        (
            job(definition={"EnableNetworkIsolation": False}),
            "EnableNetworkIsolation of its training jobs is False, now it is True, and that may not change",
        ),
        (
            job(TrainingJobStatusCounters={"Completed": 495}),
            "with its 495 training jobs there would be 501, at most 500 count together",
        ),
        ("Could not find it", "Could not find it"),
    ],
)
def test_a_parent_that_the_service_would_refuse_is_left_out_and_says_why(parent: dict[str, Any] | str, why: str) -> None:
    assert choose({"t-1": parent}, FOLLOWING) == WarmStart((), f"not from t-1: {why}")


def test_the_others_stay_and_each_counts_its_training_jobs() -> None:
    many = job(TrainingJobStatusCounters={"Completed": 493})
    chosen = choose({"gone": "Could not find it", "t-1": job(), "t-2": many}, FOLLOWING)
    assert chosen.parents == ("t-1",)
    assert chosen.reason == (
        "learns from the trials of t-1; not from gone: Could not find it; "
        "not from t-2: with its 493 training jobs there would be 503, at most 500 count together"
    )


def test_a_range_that_becomes_static_counts_once_for_each_of_its_values() -> None:
    """The developer guide's own example: red and blue that become static are two changes, red that becomes blue is two as well."""
    varied = {
        "CategoricalParameterRanges": [{"Name": "colour", "Values": ["red", "blue"]}],
        "ContinuousParameterRanges": [{"Name": "rate"}],
    }
    assert changes(varied, {"shape": "round"}, {"colour": "red", "rate": "1", "shape": "square"}) == {"colour": 2, "rate": 1, "shape": 2}
    assert changes({}, {"colour": "red"}, {"colour": "blue"}) == {"colour": 2}
