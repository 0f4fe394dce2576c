"""The gates: each refuses alone, names itself, its value and its limit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.check_gates.gates import GatePolicy, GateResult, check_gates, refusal
from lambdas.check_gates.handler import failure_reason
from lambdas.common.evaluation import Evaluation, InvalidEvaluation

POLICY = GatePolicy(
    min_macro_f1=0.6,
    min_gain_over_majority=0.1,
    min_gain_over_tfidf=0.0,
    max_loss_to_champion=0.02,
    min_class_recall=0.2,
    min_slice_accuracy=0.5,
)


def score(value: float) -> dict[str, dict[str, float]]:
    return {name: {"value": value, "low": value - 0.03, "high": value + 0.03} for name in ("accuracy", "macro_f1")}


def report(**changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "schema_version": 1,
        "model_version": "m-1",
        "dataset_version": "0123456789abcdef",
        "overall": {**score(0.75), "ece": 0.03},
        "by_class": {label: {"precision": 0.7, "recall": 0.7, "f1": 0.7, "support": 9} for label in ("negative", "positive")},
        "by_slice": {"amazon": {"rows": 9, **score(0.8)}},
        "references": {"majority": score(0.22), "tfidf": score(0.64), "champion": score(0.76), "human_1": None},
        "difference_to_champion": score(-0.01),
    }
    return raw | changes


def refused(raw: dict[str, Any]) -> list[str]:
    return [gate.gate for gate in check_gates(Evaluation.parse(raw), POLICY) if not gate.passed]


def test_a_good_candidate_passes_every_gate() -> None:
    assert refused(report()) == []


@pytest.mark.parametrize(
    ("changes", "gates"),
    [
        pytest.param({"overall": score(0.59), "references": report()["references"] | {"tfidf": score(0.5)}}, ["macro_f1"], id="macro-F1"),
        pytest.param(
            {"references": report()["references"] | {"majority": score(0.66)}}, ["macro_f1 gain over the largest class"], id="majority"
        ),
        pytest.param({"references": report()["references"] | {"tfidf": score(0.751)}}, ["macro_f1 gain over TF-IDF"], id="tf-idf"),
        pytest.param({"difference_to_champion": score(-0.021)}, ["macro_f1 difference to the champion"], id="worse than the champion"),
        pytest.param(
            {"by_class": {"negative": {"recall": 0.19}, "positive": {"recall": 0.9}}}, ["recall of class negative"], id="a class is missed"
        ),
        pytest.param(
            {"by_slice": {"amazon": score(0.8), "recent": score(0.46)}},
            ["upper end of the accuracy of slice recent"],
            id="a slice is served badly",
        ),
    ],
)
def test_each_gate_refuses_alone(changes: dict[str, Any], gates: list[str]) -> None:
    assert refused(report(**changes)) == gates


def test_a_slice_too_small_to_tell_does_not_refuse() -> None:
    few = {"accuracy": {"value": 0.48, "low": 0.28, "high": 0.68}}
    assert refused(report(by_slice={"amazon": score(0.8), "recent": few})) == []


def test_without_a_champion_there_is_no_gate_against_it() -> None:
    raw = report(difference_to_champion=None, references=report()["references"] | {"champion": None})
    assert not [gate for gate in check_gates(Evaluation.parse(raw), POLICY) if "champion" in gate.gate]


def test_a_reason_names_the_gate_the_value_and_the_limit() -> None:
    assert GateResult("macro_f1", 0.5312, 0.6).reason == "macro_f1 is 0.531, below the limit 0.600"
    assert GateResult("macro_f1", 0.6, 0.6).reason == "macro_f1 is 0.600, at least the limit 0.600"


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_better_model_never_fails_a_gate_that_a_worse_one_passes(one: float, other: float) -> None:
    worse, better = sorted((one, other))
    before, after = (check_gates(Evaluation.parse(report(overall=score(value))), POLICY) for value in (worse, better))
    assert all(late.passed or not early.passed for early, late in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("raw", "named"),
    [(report(schema_version=2), "schema_version 2"), ({"schema_version": 1}, "references"), (report(by_class={"a": {}}), "recall")],
)
def test_a_report_of_another_form_is_named(raw: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidEvaluation, match=named):
        Evaluation.parse(raw)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            {"Error": "States.TaskFailed", "Cause": json.dumps({"FailureReason": "AlgorithmError: out of memory"})},
            "AlgorithmError: out of memory",
        ),
        ({"Error": "SageMaker.ResourceLimitExceeded", "Cause": "no quota"}, "no quota"),
        ({"Error": "States.Timeout"}, "States.Timeout"),
    ],
)
def test_a_failed_evaluation_refuses_its_candidate_in_its_own_words(error: dict[str, str], reason: str) -> None:
    gate = refusal(failure_reason(error))
    assert gate["passed"] is False
    assert gate["reason"] == f"the evaluation failed: {reason}"
