"""Triggers of a retraining: enough labels, one execution however many ask, and no endless failing."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import Manifest
from lambdas.common.predictions import StoredPrediction
from lambdas.retraining.decide_retraining import handler as entry
from lambdas.retraining.decide_retraining.decision import (
    MOST_FAILURES,
    MOST_TAKEN,
    Attempt,
    History,
    changed_labels,
    enough,
    execution_name,
    number_of,
    one_at_a_time,
    start_once,
    trigger_reason,
)

WATERMARK = "2026-11-01T10:00:00+00:00"


class Machine:
    """Executions by name, as Step Functions keeps them: a name can be used once."""

    def __init__(self, **ended: Attempt) -> None:
        self.executions: dict[str, Attempt] = dict(ended)
        self.started: list[str] = []

    def start(self, name: str) -> Attempt:
        if name in self.executions:
            return self.executions[name]
        self.executions[name] = Attempt.RUNNING
        self.started.append(name)
        return Attempt.STARTED


def machine(*outcomes: Attempt) -> Machine:
    return Machine(**{execution_name(WATERMARK, number): outcome for number, outcome in enumerate(outcomes, 1)})


def history(steps: Machine, *, known: int | None = None) -> History:
    """What the list of executions says; it lags behind after the first ``known``."""
    names = list(steps.executions)[:known]
    failed = tuple(name for name in names if steps.executions[name] is Attempt.FAILED and number_of(name, WATERMARK))
    running = next((name for name in names if steps.executions[name] is Attempt.RUNNING), None)
    return History(max((number_of(name, WATERMARK) for name in names), default=0), failed, running)


def test_two_triggers_over_the_same_labels_start_one_execution() -> None:
    steps = machine()
    first, second = (start_once(WATERMARK, "200 new labels", History(), steps.start) for _ in range(2))
    assert (first.started, second.started) == (True, False)
    assert steps.started == [first.execution] == [second.execution]
    assert "runs already" in second.reason


def test_the_next_dataset_has_its_own_executions() -> None:
    steps = machine()
    start_once(WATERMARK, "r", History(), steps.start)
    assert start_once("2026-11-02T10:00:00+00:00", "r", History(), steps.start).started
    assert len(set(steps.started)) == 2


@pytest.mark.parametrize(
    ("before", "started", "reason"),
    [
        ([Attempt.FINISHED], True, "200 new labels"),
        ([Attempt.FAILED], True, "200 new labels"),
        ([Attempt.FAILED, Attempt.RUNNING], False, "runs already"),
        ([Attempt.FAILED, Attempt.FINISHED, Attempt.FAILED], True, "200 new labels"),
        ([Attempt.FAILED] * MOST_FAILURES, False, "redrive"),
        ([Attempt.FINISHED, *[Attempt.FAILED] * MOST_FAILURES], False, "redrive"),
        ([Attempt.FINISHED] * 1_000, True, "200 new labels"),
        ([*[Attempt.FAILED] * 2, *[Attempt.FINISHED] * 1_000], True, "200 new labels"),
        ([*[Attempt.FAILED] * 2, *[Attempt.FINISHED] * 1_000, Attempt.FAILED], False, "redrive"),
    ],
)
@pytest.mark.parametrize("unseen", [0, 1])
def test_what_earlier_executions_mean_for_the_next(before: list[Attempt], started: bool, reason: str, unseen: int) -> None:
    """Skipped executions are no failures, and never use up the names; the list of executions may lag behind."""
    steps = machine(*before)
    decision = start_once(WATERMARK, "200 new labels", history(steps, known=len(before) - unseen), steps.start)
    assert decision.started is started
    assert reason in decision.reason
    if started:
        assert decision.execution == execution_name(WATERMARK, len(before) + 1)


def test_a_list_that_lags_far_behind_starts_nothing_now() -> None:
    steps = machine(*[Attempt.FINISHED] * (MOST_TAKEN + 5))
    decision = start_once(WATERMARK, "r", history(steps, known=5), steps.start)
    assert (decision.started, steps.started) == (False, [])
    assert "taken already: the schedule asks again" in decision.reason


@pytest.mark.parametrize(
    ("name", "number"),
    [(execution_name(WATERMARK, 12), 12), (execution_name(None, 12), 0), ("by-hand", 0), (execution_name(WATERMARK, 1) + "x", 0)],
)
def test_an_execution_is_counted_with_its_own_dataset_only(name: str, number: int) -> None:
    assert number_of(name, WATERMARK) == number


@given(st.one_of(st.none(), st.text(max_size=40)), st.integers(1, 1_000_000))
def test_an_execution_name_is_one_that_step_functions_takes(watermark: str | None, attempt: int) -> None:
    name = execution_name(watermark, attempt)
    assert re.fullmatch(r"labels-[0-9a-f]{16}-\d{1,7}", name)
    assert number_of(name, watermark) == attempt


def test_a_changed_label_set_is_told_by_name() -> None:
    assert changed_labels(("b", "a"), ("a", "b")) is None
    decision = changed_labels(("a", "c"), ("a", "b"))
    assert decision is not None
    assert not decision.started
    assert decision.reason.startswith(
        "dataset.labels of the settings are not those of the current dataset version: "
        "c in the settings only, so the model never answers it and people's answers for it are left out; "
        "b in the dataset only, so the model answers it and people cannot. Leave dataset.labels out or correct it, and deploy"
    )


def test_a_label_of_the_dataset_is_named_as_people_see_it() -> None:
    decision = changed_labels(("a",), ("a", "sci-tech"), {"sci-tech": "Sci/Tech"})
    assert decision is not None
    assert "Sci/Tech (sci-tech) in the dataset only" in decision.reason


def test_labels_that_the_dataset_does_not_know_are_named_where_they_are_missing() -> None:
    decision = enough(150, 200, WATERMARK, {"mixed": 60})
    assert decision is not None
    assert decision.reason.endswith("; 60 more have the label 'mixed', which the dataset does not know")


@pytest.mark.parametrize(("labels", "refused"), [(199, True), (200, False), (201, False)])
def test_labels_are_enough_from_the_limit_on(labels: int, refused: bool) -> None:
    decision = enough(labels, 200, WATERMARK)
    assert (decision is not None) is refused
    if decision is not None:
        assert decision.reason == f"199 new labels since {WATERMARK}: a retraining needs 200; the schedule asks again"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"detail-type": "Scheduled Event"}, "250 new labels"),
        ({}, "250 new labels"),
        (
            {"detail-type": "CloudWatch Alarm State Change", "detail": {"alarmName": "a-drift", "state": {"reason": "score 1.4 > 1"}}},
            "drift alarm a-drift: score 1.4 > 1; 250 new labels",
        ),
    ],
)
def test_the_reason_says_who_asked(event: dict[str, Any], reason: str) -> None:
    assert trigger_reason(event, 250) == reason


def test_a_retraining_under_way_is_waited_for() -> None:
    assert one_at_a_time(None) is None
    refused = one_at_a_time("labels-1")
    assert refused is not None
    assert (refused.started, refused.execution) == (False, "labels-1")


# -- the handler -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pinned", "reason", "changed"),
    [
        ((), "0 new labels since", 0.0),
        (("sci-tech", "world"), "0 new labels since", 0.0),
        (("world", "sport"), "dataset.labels of the settings are not those of the current dataset version", 1.0),
    ],
)
def test_only_pinned_labels_can_differ_from_those_of_the_version(
    monkeypatch: pytest.MonkeyPatch, pinned: tuple[str, ...], reason: str, changed: float
) -> None:
    manifest = Manifest("0" * 16, None, ("world", "sci-tech"), {}, {}, {}, {"train/data.jsonl": "0" * 64}, WATERMARK)
    ssm = SimpleNamespace(get_parameter=lambda **_: {"Parameter": {"Value": "s3://data/datasets/one/"}})
    counted: dict[str, float] = {}
    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("arn", "table", "/dataset", 20, 9, pinned))
    monkeypatch.setattr(entry, "client", {"ssm": ssm, "s3": None}.__getitem__)
    monkeypatch.setattr(entry, "read_bytes", lambda _, uri: {"s3://data/datasets/one/manifest.json": manifest.to_json()}[uri])
    monkeypatch.setattr(entry, "_store", lambda: SimpleNamespace(labels_of_day=lambda day, after=None: iter(())))
    monkeypatch.setattr(entry.metrics, "add_metric", lambda name, unit, value: counted.update({name: value}))
    decision = entry._decide({})
    assert (decision.started, decision.reason[: len(reason)]) == (False, reason)
    assert counted == {"LabelSetChanged": changed}


@pytest.mark.parametrize(("watermark", "imported", "new"), [(None, 300, 5), (None, 310, 15), (None, 100, 5), (WATERMARK, 300, 305)])
def test_labels_of_a_job_that_the_first_version_is_made_of_are_not_counted(
    monkeypatch: pytest.MonkeyPatch, watermark: str | None, imported: int, new: int
) -> None:
    sources = {"labeling": 300}
    manifest = Manifest("0" * 16, None, ("world",), {}, {}, sources, {"train/data.jsonl": "0" * 64}, watermark)
    ssm = SimpleNamespace(get_parameter=lambda **_: {"Parameter": {"Value": "s3://data/datasets/one"}})
    found = [f"labeling:job-{n}" for n in range(imported)] + [f"review:p{n}" for n in range(5)]
    base = {"text": "t", "created_at": "2026-11-01T00:00:00+00:00", "expires_at": 2_000_000_000, "attempt": 1, "review_state": "reviewed"}
    later = "2999-01-01T00:00:00+00:00"
    stored = [
        StoredPrediction.parse({**base, "prediction_id": f"p{n}", "human_label": "world", "reviewed_at": later, "label_source": source})
        for n, source in enumerate(found)
    ]
    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("arn", "table", "/dataset", 1_000, 9))
    monkeypatch.setattr(entry, "client", {"ssm": ssm, "s3": None}.__getitem__)
    monkeypatch.setattr(entry, "read_bytes", lambda *_: manifest.to_json())
    monkeypatch.setattr(entry, "labels_since", lambda *_, **__: iter(stored))
    monkeypatch.setattr(entry, "_store", lambda: None)
    assert entry._decide({}).reason.startswith(f"{new} new labels since")
