"""The gates: each refuses alone, names itself, its value and its limit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.intervals import critical_value, wilson
from lambdas.tuning.check_gates.gates import GatePolicy, check_gates, not_inferior, notes, refusal, refusals
from lambdas.tuning.check_gates.handler import failure_reason
from lambdas.tuning.check_gates.result import GateResult
from lambdas.tuning.evaluation import Evaluation, InvalidEvaluation, SliceScore

POLICY = GatePolicy(
    min_macro_f1=0.6,
    min_gain_over_majority=0.1,
    min_gain_over_tfidf=0.0,
    max_loss_to_champion=0.06,
    max_loss_to_best=0.07,
    min_class_recall=0.2,
    min_slice_accuracy=0.5,
    min_key_examples=1.0,
)


def score(value: float) -> dict[str, dict[str, float]]:
    return {name: {"value": value, "low": value - 0.03, "high": value + 0.03} for name in ("accuracy", "macro_f1")}


def on(groups: int, low: float, high: float) -> dict[str, Any]:
    """A score or a difference of this interval, on so many groups."""
    interval = {"value": (low + high) / 2, "low": low, "high": high}
    return {"rows": 2 * groups, "groups": groups, "accuracy": interval, "macro_f1": interval}


def recall(value: float, texts: int) -> dict[str, Any]:
    """A class of ``by_class`` with so many test texts, each of a group of its own."""
    low, high = wilson(value, texts, critical_value())
    return {"recall": {"value": value, "low": low, "high": high, "effective_texts": texts}, "support": texts}


def report(**changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "schema_version": 3,
        "model_version": "m-1",
        "dataset_version": "0123456789abcdef",
        "overall": {**score(0.75), "ece": 0.03},
        "by_class": {"negative": recall(0.7, 200), "positive": recall(0.7, 200)},
        "by_slice": {"amazon": on(200, 0.77, 0.83)},
        "references": {"majority": score(0.22), "tfidf": score(0.64), "champion": score(0.76), "human_1": None},
        "difference_to_champion": on(230, -0.04, 0.02),
        "difference_by_slice": {"amazon": on(200, -0.05, 0.01), "recent": on(30, 0.02, 0.3)},
        "truncated": {"texts": 0, "pieces": None},
        "key_examples": None,
        "label_names": {},
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
        pytest.param(
            {"difference_to_champion": on(230, -0.13, -0.07)},
            ["lower end of the macro_f1 difference to the champion"],
            id="worse than the champion",
        ),
        pytest.param(
            {"difference_to_champion": on(230, -0.061, 0.08)},
            ["lower end of the macro_f1 difference to the champion"],
            id="not shown to be no worse than the champion, though it looks better",
        ),
        pytest.param(
            {"difference_by_slice": {"amazon": on(200, -0.05, 0.01), "recent": on(30, -0.2, -0.061)}},
            ["upper end of the macro_f1 difference to the champion in slice recent"],
            id="shown to be worse in a slice",
        ),
        pytest.param(
            {"by_class": {"negative": recall(0.1, 200), "positive": recall(0.9, 200)}},
            ["upper end of the recall of class negative"],
            id="a class is missed",
        ),
        pytest.param(
            {"by_slice": {"amazon": on(200, 0.77, 0.83), "recent": on(20, 0.43, 0.49)}},
            ["upper end of the accuracy of slice recent"],
            id="a slice is served badly",
        ),
    ],
)
def test_each_gate_refuses_alone(changes: dict[str, Any], gates: list[str]) -> None:
    assert refused(report(**changes)) == gates


def test_a_slice_too_small_to_tell_does_not_refuse() -> None:
    assert refused(report(by_slice={"amazon": on(200, 0.77, 0.83), "recent": on(25, 0.28, 0.68)})) == []
    # A bootstrap of one group has no width: wrong on it is [0, 0].
    assert refused(report(by_slice={"recent": on(1, 0.0, 0.0)})) == []
    assert refused(report(by_slice={"recent": on(19, 0.3, 0.4)})) == []


@pytest.mark.parametrize(
    "slices",
    [
        pytest.param({"recent": on(200, -0.3, -0.059)}, id="a loss within the margin is possible"),
        pytest.param({"recent": on(29, -0.3, -0.1)}, id="too few groups"),
        pytest.param({"recent-unsure": on(200, -0.3, -0.1)}, id="texts chosen by the champion's weakness"),
    ],
)
def test_a_slice_refuses_only_a_loss_that_is_shown(slices: dict[str, Any]) -> None:
    assert refused(report(difference_by_slice=slices)) == []


def reason_of(difference: dict[str, Any]) -> str:
    (gate,) = (one for one in check_gates(Evaluation.parse(report(difference_to_champion=difference)), POLICY) if "lower end" in one.gate)
    return gate.reason


def test_against_the_champion_a_reason_says_whether_more_texts_would_help() -> None:
    assert reason_of(on(230, -0.15, -0.05)) == (
        "macro_f1 is 0.100 below that of the champion, and at most 0.060 may be lost: the difference is -0.100 (-0.150 to -0.050)"
    )
    # The interval must shrink from 0.08 below the value to 0.05: (8/5)^2 as many groups, and twice that for four tries of five.
    assert reason_of(on(100, -0.09, 0.07)) == (
        "macro_f1 is not shown to lose less than 0.060 to the champion: the difference is -0.010 (-0.090 to +0.070); "
        "about 524 groups would show it in four of five tries, 100 are there"
    )
    assert "groups would show it" not in reason_of(on(100, -0.11, -0.01))  # at the margin itself no number would do
    assert reason_of(on(230, -0.04, 0.02)) == ("lower end of the macro_f1 difference to the champion is -0.040, at least the limit -0.060")


def test_a_figure_that_is_equal_to_its_limit_passes_and_one_just_below_says_so() -> None:
    assert 0.7222 - 0.6222 < 0.1
    assert GateResult("macro_f1 gain", 0.7222 - 0.6222, 0.1).passed
    assert GateResult("macro_f1", 0.5996, 0.6).reason == "macro_f1 is 0.5996, below the limit 0.6000"


@given(st.floats(-0.05, 0.2), st.floats(0.02, 0.3), st.integers(5, 500))
def test_as_many_groups_as_a_reason_asks_for_would_pass(value: float, width: float, groups: int) -> None:
    below = on(groups, value - width, value + width)
    gate = not_inferior(SliceScore.parse(below), 0.06)
    if not gate.passed:
        needed = int(gate.reason.rsplit("about ", 1)[1].split()[0])
        shrunk = width * (groups / needed) ** 0.5
        assert not_inferior(SliceScore.parse(on(needed, value - shrunk, value + shrunk)), 0.06 + 1e-9).passed
        assert needed > groups


def with_best(difference: dict[str, Any]) -> dict[str, Any]:
    """A report whose champion is not the best so far."""
    return report(difference_to_best=difference, references=report()["references"] | {"best": score(0.79)})


def test_a_candidate_that_loses_little_to_its_champion_may_have_lost_too_much_to_the_best_so_far() -> None:
    assert refused(with_best(on(230, -0.0699, -0.01))) == []
    (gate,) = (one for one in check_gates(Evaluation.parse(with_best(on(230, -0.13, -0.07))), POLICY) if not one.passed)
    assert gate.gate == "lower end of the macro_f1 difference to the best champion so far"
    assert gate.reason == (
        "macro_f1 is 0.100 below that of the best champion so far, and at most 0.070 may be lost: "
        "the difference is -0.100 (-0.130 to -0.070); several small losses add up to this one: give the retraining more labels, "
        "or allow more with gates.max_loss_to_best; to forget that model, delete its package (best_package of the champion's package)"
    )
    (unsure,) = (one for one in check_gates(Evaluation.parse(with_best(on(100, -0.1, 0.06))), POLICY) if not one.passed)
    assert "is not shown to lose less than 0.070 to the best champion so far" in unsure.reason


def test_a_champion_that_is_the_best_itself_is_compared_with_once() -> None:
    """The quick demo allows a larger loss to the champion than the other margin."""
    of_the_champion = on(230, -0.13, -0.07)
    assert refused(report(difference_to_champion=of_the_champion, difference_to_best=of_the_champion)) == [
        "lower end of the macro_f1 difference to the champion"
    ]
    wide = replace(POLICY, max_loss_to_champion=0.15)
    gates = check_gates(Evaluation.parse(report(difference_to_champion=of_the_champion, difference_to_best=of_the_champion)), wide)
    assert all(gate.passed for gate in gates)


def test_the_slice_of_texts_that_models_were_unsure_of_refuses_nothing() -> None:
    assert refused(report(by_slice={"amazon": on(200, 0.77, 0.83), "recent-unsure": on(500, 0.3, 0.34)})) == []


def test_without_a_champion_there_is_no_gate_against_it() -> None:
    raw = report(difference_to_champion=None, difference_by_slice=None, references=report()["references"] | {"champion": None})
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
    [
        (report(schema_version=2), "schema_version 2: this code reads 3"),
        ({"schema_version": 3}, "references"),
        (report(by_class={"a": {}}), "recall"),
        (report(difference_to_champion=score(0.1)), "groups"),
    ],
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
        (
            {
                "Error": "States.TaskFailed",
                "Cause": json.dumps({"FailureReason": "AlgorithmError: , exit code: 1", "ExitMessage": "InvalidDataset: data.jsonl:2"}),
            },
            "InvalidDataset: data.jsonl:2",
        ),
        ({"Error": "SageMaker.ResourceLimitExceeded", "Cause": "no quota"}, "no quota"),
        ({"Error": "States.Timeout"}, "States.Timeout"),
    ],
)
def test_a_failed_evaluation_refuses_its_candidate_in_its_own_words(error: dict[str, str], reason: str) -> None:
    gate = refusal(failure_reason(error))
    assert (gate.passed, gate.value) == (False, None)
    assert gate.reason == f"the evaluation failed: {reason}"


def test_a_class_without_test_texts_is_undefined_and_not_recall_0() -> None:
    unseen = {"by_class": report()["by_class"] | {"neutral": {"precision": None, "recall": None, "f1": None, "support": 0}}}
    (gate,) = (gate for gate in check_gates(Evaluation.parse(report(**unseen)), POLICY) if not gate.passed)
    assert gate.value is None
    assert gate.reason == (
        "recall of class neutral is undefined: no test text has this label; add some, or set gates.min_class_recall to 0"
    )
    assert all(gate.passed for gate in check_gates(Evaluation.parse(report(**unseen)), replace(POLICY, min_class_recall=0)))


def recall_of(classes: dict[str, dict[str, Any]]) -> list[GateResult]:
    return [gate for gate in check_gates(Evaluation.parse(report(by_class=classes)), POLICY) if "recall" in gate.gate]


def test_a_class_that_is_missed_is_named_with_its_interval() -> None:
    (gate, _) = recall_of({"negative": recall(0.05, 60), "positive": recall(0.9, 60)})
    assert gate.reason == (
        "recall of class negative is 0.050 on 60 test texts (0.015 to 0.155, 95 % for all 2 classes together), below the limit 0.200"
    )


def test_a_class_of_few_texts_is_said_and_refuses_nothing() -> None:
    gates = recall_of({"negative": recall(0.0, 9), "positive": recall(0.9, 200)})
    assert all(gate.passed for gate in gates)
    assert notes(gates) == [
        "recall of class negative is 0.000 on 9 test texts, too few to judge: about 21 could show that it is below the limit 0.200"
    ]
    # As many as it asks for, and none right, are shown.
    assert not all(gate.passed for gate in recall_of({"negative": recall(0.0, 21), "positive": recall(0.9, 200)}))


def test_many_classes_of_few_texts_are_judged_as_one() -> None:
    good, bad = ({f"c{number:03d}": recall(value, 5) for number in range(77)} for value in (0.4, 0.05))
    assert [gate.gate for gate in recall_of(good) if not gate.passed] == []
    assert len(notes(recall_of(good))) == 11
    (gate,) = (gate for gate in recall_of(bad) if not gate.passed)
    assert gate.gate == "upper end of the recall of the 77 classes of few test texts together"
    assert "is 0.050 on 385 test texts" in gate.reason


@pytest.mark.parametrize(("classes", "texts"), [(3, 40), (77, 5), (150, 5), (150, 60)])
def test_a_model_whose_classes_all_reach_the_limit_is_hardly_ever_refused(classes: int, texts: int) -> None:
    refused_runs = 0
    for hits in np.random.default_rng(classes).binomial(texts, POLICY.min_class_recall, size=(100, classes)):
        gates = recall_of({f"c{number}": recall(float(hit) / texts, texts) for number, hit in enumerate(hits)})
        refused_runs += not all(gate.passed for gate in gates)
    assert refused_runs <= 5


def test_no_recall_asked_for_refuses_no_class() -> None:
    classes = {"negative": recall(0.0, 200), "positive": recall(0.0, 2)}
    evaluation = Evaluation.parse(report(by_class=classes))
    assert all(gate.passed for gate in check_gates(evaluation, replace(POLICY, min_class_recall=0)))


def test_a_gate_names_a_class_as_people_do() -> None:
    gates = check_gates(Evaluation.parse(report(label_names={"negative": "schlecht"})), POLICY)
    assert "upper end of the recall of class schlecht" in [gate.gate for gate in gates]


def broken(*wrong: str, rows: int = 40) -> dict[str, Any]:
    entries = [{"id": text, "text": text, "label": "sci-tech", "answer": "world", "confidence": 0.9} for text in wrong]
    return {"rows": rows, "right": rows - len(wrong), "wrong": entries}


def test_key_examples_refuse_and_the_reason_names_what_broke() -> None:
    raw = report(key_examples=broken("a", "b", "c", "d"), label_names={"sci-tech": "Sci/Tech"})
    (gate,) = (gate for gate in check_gates(Evaluation.parse(raw), POLICY) if not gate.passed)
    assert gate.value == pytest.approx(0.9)
    assert gate.reason == (
        "4 of 40 key examples are wrong: 'a' is Sci/Tech, not world; 'b' is Sci/Tech, not world; 'c' is Sci/Tech, not world; and 1 more"
    )
    assert refused(report(key_examples=broken())) == []
    assert all(gate.passed for gate in check_gates(Evaluation.parse(raw), replace(POLICY, min_key_examples=0.9)))


@pytest.mark.parametrize(("pieces", "words"), [(None, ""), (0.31, " (31 % of the word pieces are not read)")])
def test_a_candidate_that_loses_to_tfidf_on_cut_texts_is_told_why(pieces: float | None, words: str) -> None:
    worse = report()["references"] | {"tfidf": score(0.8)}
    raw = report(references=worse, truncated={"texts": 0.44, "pieces": pieces})
    (gate,) = (gate for gate in check_gates(Evaluation.parse(raw), POLICY) if not gate.passed)
    assert gate.reason == (
        "macro_f1 gain over TF-IDF is -0.050 (0.750 against 0.800), below the limit 0.000; the model cut 44 % of the test texts"
        f"{words}, and TF-IDF reads them whole: set a larger tuning.max_length (at most 512)"
    )


@pytest.mark.parametrize("cut", [0, 0.012])
def test_a_candidate_that_reads_nearly_all_is_not_told_that_its_cuts_are_why(cut: float) -> None:
    raw = report(references=report()["references"] | {"tfidf": score(0.8)}, truncated={"texts": cut, "pieces": cut / 3})
    (gate,) = (gate for gate in check_gates(Evaluation.parse(raw), POLICY) if not gate.passed)
    assert gate.reason == "macro_f1 gain over TF-IDF is -0.050, below the limit 0.000"


def test_a_comparison_that_no_text_allows_refuses() -> None:
    (gate,) = (one for one in check_gates(Evaluation.parse(report(difference_to_champion=None)), POLICY) if not one.passed)
    assert "difference to the champion is undefined: every test text is in the slice recent-unsure" in gate.reason


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None, "0.7", True])
def test_a_figure_that_is_no_finite_number_is_named(bad: Any) -> None:
    with pytest.raises(InvalidEvaluation, match="evaluation field low = "):
        Evaluation.parse(report(overall={name: {"value": 0.7, "low": bad, "high": 0.8} for name in ("accuracy", "macro_f1")}))
    if bad is not None:
        broken_class = {"recall": {"value": bad, "low": 0, "high": 1, "effective_texts": 9}, "support": 9}
        with pytest.raises(InvalidEvaluation, match=r"by_class\.negative\.recall\.value = "):
            Evaluation.parse(report(by_class={"negative": broken_class}))


def test_reasons_that_go_through_a_state_machine_are_few_and_short() -> None:
    gates = [GateResult(f"accuracy of slice {number} {'x' * 500}", 0.1, 0.5) for number in range(300)]
    found = refusals(gates)
    assert len(found) == 11
    assert found[-1] == "290 more gates refused it, which gates.json names"
    assert len(json.dumps(found)) < 5_000
    assert refusals([GateResult("macro_f1", 0.5, 0.6), GateResult("recall", 0.9, 0.1)]) == ["macro_f1 is 0.500, below the limit 0.600"]
