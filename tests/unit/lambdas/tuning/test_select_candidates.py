"""Which training jobs become candidates: ties, absences, failures."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.tuning.select_candidates.selection import (
    Candidate,
    NoCandidate,
    TuningUnfinished,
    best_with_model,
    evaluation_job_name,
    processing_inputs,
    ranked,
    require_ended,
)


def summary(name: str, value: float | None, status: str = "Completed") -> dict[str, Any]:
    metric = {} if value is None else {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "validation:macro_f1", "Value": value}}
    return {"TrainingJobName": name, "TrainingJobStatus": status, **metric}


@pytest.mark.parametrize(
    ("summaries", "expected"),
    [
        pytest.param([summary("a", 0.5), summary("b", 0.7), summary("c", 0.6)], ["b", "c", "a"], id="best first"),
        pytest.param([summary("c", 0.7), summary("a", 0.7), summary("b", 0.7)], ["a", "b", "c"], id="a tie goes by name"),
        pytest.param([summary("a", 0.4)], ["a"], id="one is enough"),
        pytest.param([summary("a", None), summary("b", 0.1)], ["b"], id="without an objective none"),
        pytest.param([summary("a", 0.9, "Failed"), summary("b", 0.1)], ["b"], id="a failed one left no model"),
        pytest.param([summary("a", 0.9, "InProgress"), summary("b", 0.1)], ["b"], id="a running one left none yet"),
        pytest.param([summary("a", 0.9, "Stopped"), summary("b", 0.1)], ["a", "b"], id="early stopping keeps the model"),
        pytest.param([summary("a", float("nan")), summary("b", 0.0)], ["b"], id="not a number is no objective, zero is"),
    ],
)
def test_which_jobs_are_candidates_and_in_which_order(summaries: list[dict[str, Any]], expected: list[str]) -> None:
    assert [candidate.training_job for candidate in ranked(summaries)] == expected


CANDIDATES = [Candidate("a", 0.9), Candidate("b", 0.8), Candidate("c", 0.7), Candidate("d", 0.6)]


@pytest.mark.parametrize(("without", "expected"), [("", "ab"), ("a", "bc"), ("bc", "ad"), ("bcd", "a")])
def test_a_job_that_left_no_model_gives_its_place_to_the_next_best(without: str, expected: str) -> None:
    best = best_with_model(CANDIDATES, lambda name: None if name in without else f"s3://models/{name}")
    assert [(candidate.training_job, uri) for candidate, uri in best] == [(name, f"s3://models/{name}") for name in expected]


def tried(name: str, objective: float, **parameters: str) -> Candidate:
    return Candidate(name, objective, {"layers": "4", "trained_layers": "2", "epochs": "2", "learning_rate": "0.0002", **parameters})


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([tried("b", 0.8, learning_rate="0.00025")], "a", id="nearly the same learning rate"),
        pytest.param([tried("b", 0.8, learning_rate="0.0003")], "ab", id="half as much again"),
        pytest.param([tried("b", 0.8, learning_rate="0.00013")], "ab", id="a third less"),
        pytest.param([tried("b", 0.8, layers="5")], "ab", id="one more layer"),
        pytest.param([tried("b", 0.8, trained_layers='"all"')], "ab", id="all layers, quoted as the service may"),
        pytest.param([tried("b", 0.8, layers='"4"')], "a", id="the same number of layers, quoted"),
        pytest.param([tried("b", 0.8), tried("c", 0.7, epochs="3")], "ac", id="a twin gives its place to the next"),
        pytest.param([Candidate("b", 0.8)], "ab", id="unknown hyper-parameters are no twin"),
    ],
)
def test_the_challenger_is_no_twin_of_the_champion(others: list[Candidate], expected: str) -> None:
    best = best_with_model([tried("a", 0.9), *others], lambda name: f"s3://models/{name}")
    assert "".join(candidate.training_job for candidate, _ in best) == expected


def test_what_was_tried_is_read_from_the_summary() -> None:
    (found,) = ranked([{**summary("a", 0.5), "TunedHyperParameters": {"layers": "4"}}])
    assert found.parameters == {"layers": "4"}


def test_no_more_jobs_are_described_than_needed() -> None:
    models = iter(["s3://models/a", "s3://models/b"])
    assert len(best_with_model(CANDIDATES, lambda _: next(models))) == 2


def test_jobs_with_an_objective_and_no_model_are_an_error_that_counts_them() -> None:
    with pytest.raises(NoCandidate, match="none of the 4 training jobs with an objective left a model"):
        best_with_model(CANDIDATES, lambda _: None)


@pytest.mark.parametrize(
    ("summaries", "how"),
    [
        ([], "none was started"),
        ([summary("a", None, "Failed"), summary("b", None, "Failed"), summary("c", None)], "1 Completed, 2 Failed"),
        ([{**summary("a", None, "Failed"), "FailureReason": "out of memory"}], "the first failure: out of memory"),
    ],
)
def test_no_usable_job_is_an_error_that_counts_how_they_ended(summaries: list[dict[str, Any]], how: str) -> None:
    with pytest.raises(NoCandidate, match=how):
        ranked(summaries)


@given(
    st.lists(
        st.tuples(st.from_regex("[a-z]{1,6}", fullmatch=True), st.floats(0, 1)), min_size=1, max_size=20, unique_by=lambda pair: pair[0]
    )
)
def test_the_choice_is_the_best_and_does_not_depend_on_the_order(pairs: list[tuple[str, float]]) -> None:
    summaries = [summary(name, value) for name, value in pairs]
    chosen = ranked(summaries)
    assert chosen == ranked(list(reversed(summaries)))
    assert [candidate.objective for candidate in chosen] == sorted((value for _, value in pairs), reverse=True)


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_running_tuning_job_has_no_best_one_yet(status: str) -> None:
    with pytest.raises(TuningUnfinished, match=f"t-1 is {status}"):
        require_ended("t-1", status)


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_an_ended_tuning_job_may_be_asked_however_it_ended(status: str) -> None:
    require_ended("t-1", status)


@pytest.mark.parametrize("length", [1, 45, 63])
def test_an_evaluation_is_named_after_its_training_job_and_fits(length: int) -> None:
    name = evaluation_job_name("a" * length)
    assert name.endswith("-evaluation")
    assert len(name) <= 63


@pytest.mark.parametrize(
    "others",
    [{}, {"champion": "s3://models/training/old/output/model.tar.gz"}, {"champion": "s3://models/b", "best": "s3://models/c"}],
)
def test_champion_and_best_are_inputs_only_where_there_is_such_a_model(others: dict[str, str]) -> None:
    inputs = processing_inputs(
        code_uri="s3://assets/c.gz",
        dataset_uri="s3://data/datasets/v",
        model_uri="s3://models/m",
        champion_uri=others.get("champion"),
        best_uri=others.get("best"),
    )
    by_name = {item["InputName"]: item["S3Input"] for item in inputs}
    assert set(by_name) == {"code", "dataset", "model"} | set(others)
    assert {name: by_name[name]["S3Uri"] for name in others} == others
    assert by_name["dataset"]["S3Uri"] == "s3://data/datasets/v/"
    assert all(source["LocalPath"] == f"/opt/ml/processing/input/{name}" for name, source in by_name.items())
