"""Warm start only where the service takes it; every refusal says why."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.plan_retraining.plan import NextTuning, WarmStart, warm_start_from

FOLLOWING = NextTuning(
    strategy="Bayesian",
    objective="validation:macro_f1",
    tunable=("epochs", "layers", "learning_rate"),
    hyperparameters=("epochs", "layers", "learning_rate", "sagemaker_program", "seed"),
)


def job(**changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:macro_f1"},
        "ParameterRanges": {
            "ContinuousParameterRanges": [{"Name": "learning_rate"}],
            "CategoricalParameterRanges": [{"Name": "epochs"}, {"Name": "layers"}],
        },
    } | changes.pop("config", {})
    described: dict[str, Any] = {
        "HyperParameterTuningJobName": "t-1",
        "HyperParameterTuningJobStatus": "Completed",
        "HyperParameterTuningJobConfig": config,
        "ObjectiveStatusCounters": {"Succeeded": 3},
        "TrainingJobDefinition": {"StaticHyperParameters": {"sagemaker_program": "train.py", "seed": "1", "_tuning_objective_metric": "x"}},
    }
    return described | changes


@pytest.mark.parametrize("status", ["Completed", "Stopped", "Failed"])
def test_an_ended_job_of_the_same_kind_is_learnt_from(status: str) -> None:
    assert warm_start_from(job(HyperParameterTuningJobStatus=status), FOLLOWING) == WarmStart(("t-1",), "learns from the trials of t-1")


def test_other_ranges_of_the_same_parameters_do_not_matter() -> None:
    wider = {"ContinuousParameterRanges": [{"Name": "learning_rate", "MinValue": "1"}], "CategoricalParameterRanges": [{"Name": "epochs"}],
             "IntegerParameterRanges": [{"Name": "layers"}]}  # fmt: skip
    assert warm_start_from(job(config={"ParameterRanges": wider}), FOLLOWING).parents == ("t-1",)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"HyperParameterTuningJobStatus": "InProgress"}, "it is InProgress, not ended"),
        ({"ObjectiveStatusCounters": {"Succeeded": 0}}, "none of its training jobs reported the objective"),
        ({"config": {"Strategy": "Hyperband"}}, "strategy Hyperband takes no warm start"),
        (
            {"config": {"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "train:loss"}}},
            "its objective is Minimize train:loss, not Maximize validation:macro_f1",
        ),
        (
            {"config": {"ParameterRanges": {"ContinuousParameterRanges": [{"Name": "learning_rate"}]}}},
            "it varied learning_rate, not epochs, layers, learning_rate",
        ),
        (
            {"TrainingJobDefinition": {"StaticHyperParameters": {"sagemaker_program": "train.py"}}},
            "it had 4 hyper-parameters, the next one has 5",
        ),
    ],
)
def test_a_job_that_the_service_would_refuse_is_not_named(changes: dict[str, Any], why: str) -> None:
    assert warm_start_from(job(**changes), FOLLOWING) == WarmStart((), f"not from t-1: {why}")


def test_no_earlier_job_is_no_error() -> None:
    assert warm_start_from(None, FOLLOWING) == WarmStart((), "no earlier tuning job is known")
